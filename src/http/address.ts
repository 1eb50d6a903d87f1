/**
 * The network behind an address: whoever has one IPv6 address has the 2^64 beside it as well
 * (RFC 6177), so what is counted or limited by address is so by network. Floor 7.
 */
import { isIPv6 } from 'node:net';

/** `2001:db8:1:2::/64` of an IPv6 address; any other text as it is. */
export function findNetwork(address: string): string {
  // An IPv4 address on a socket of both families is one all the same (RFC 4291, 2.5.5.2).
  if (!isIPv6(address) || /^::ffff:/i.test(address)) return address;
  const [plain = ''] = address.split('%', 1);
  const [head = '', tail] = plain.split('::', 2);
  const left = head === '' ? [] : head.split(':');
  const right = tail ? tail.split(':') : [];
  const gap = Array<string>(Math.max(8 - left.length - right.length, 0)).fill('0');
  return `${[...left, ...gap, ...right].slice(0, 4).join(':')}::/64`;
}
