/** `aptkeep config`: the configuration in force, and the one of an nginx in front. Floor 9. */
import type { Command } from 'commander';
import type { SettingKey } from '../settings.ts';
import { addExample, addNoun, print } from './command.ts';
import { addServeOptions, readServeConfig, type ServeOptions, warn } from './serve.ts';
import { renderTable } from './table.ts';

function showConfig(options: ServeOptions): void {
  const effective = readServeConfig(options);
  warn(effective);
  const keys = Object.keys(effective.texts) as SettingKey[];
  const rows = keys.map((key) => ({
    key,
    value: effective.texts[key],
    origin: effective.origins[key],
  }));
  const json = { data: effective.data, settings: rows };
  const table = rows.map((row) => [row.key, row.value.replaceAll('\n', ' | '), row.origin]);
  const text = renderTable(['KEY', 'VALUE', 'FROM'], [['data', effective.data, ''], ...table]);
  print({ json, text }, options.json);
}

async function showNginx(options: ServeOptions): Promise<void> {
  const effective = readServeConfig(options);
  warn(effective);
  const { renderNginx } = await import('../http/proxy/nginx.ts');
  const text = renderNginx(effective);
  print({ json: { nginx: text }, text }, options.json);
}

export function addConfigCommands(program: Command): void {
  const config = addNoun(program, 'config', 'the configuration', 'aptkeep config show');
  const show = addServeOptions(config.command('show'))
    .description('the effective configuration, and where each value came from')
    .option('--json', 'print JSON')
    .action(showConfig);
  addExample(show, 'aptkeep config show');
  const nginx = addServeOptions(config.command('nginx'))
    .description('a configuration for an nginx in front, to go with `aptkeep serve --trust-proxy`')
    .option('--json', 'print JSON')
    .action(showNginx);
  addExample(nginx, 'aptkeep config nginx > /etc/nginx/conf.d/aptkeep.conf');
}
