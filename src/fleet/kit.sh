# The body of every kit. What stands before it sets: name url until not_before not_after
# host_key host_crt sources package, and the functions write_secrets and write_files.

PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C DEBIAN_FRONTEND=noninteractive
umask 077
work=
journal=
kept=0
again="make a new kit on the server: aptkeep host add $name --again"

say() { printf 'aptkeep: %s: %s\n' "$name" "$1"; }
fail() {
  say "$1" >&2
  exit 1
}

# Everything that was written is taken away again, the last thing first.
undo() {
  [ -s "$journal" ] || return 0
  say 'undoing what was done' >&2
  sed '1!G;h;$!d' "$journal" | while read -r what number path; do
    case $what in
      package) dpkg --purge "$path" >>"$work/log" 2>&1 || say "cannot remove $path" >&2 ;;
      folder) rmdir "$path" 2>/dev/null || : ;;
      new) rm -f "$path" ;;
      lists) rm -f "/var/lib/apt/lists/$path"* "/var/lib/apt/lists/partial/$path"* ;;
      kept)
        rm -f "$path"
        cp -a "$work/kept-$number" "$path" || say "cannot restore $path" >&2
        ;;
    esac
  done
}

finish() {
  status=$?
  trap - EXIT HUP INT TERM
  if [ -n "$work" ]; then
    [ "$status" = 0 ] || undo
    rm -rf "$work"
  fi
  exit "$status"
}

note() { printf '%s %s %s\n' "$1" "$2" "$3" >>"$journal" || fail "cannot write in $work"; }

make_folder() {
  [ ! -d "$1" ] || return 0
  make_folder "$(dirname "$1")"
  note folder - "$1"
  mkdir -m 0755 "$1" || fail "cannot make the folder $1"
}

# place PATH MODE OWNER: what comes on standard input, whole or not at all.
place() {
  make_folder "$(dirname "$1")"
  if [ -e "$1" ] || [ -L "$1" ]; then
    kept=$((kept + 1))
    cp -a "$1" "$work/kept-$kept" || fail "cannot put $1 aside"
    note kept "$kept" "$1"
  else
    note new - "$1"
  fi
  if rm -f "$1" && cat >"$1" && chown "$3" "$1" && chmod "$2" "$1"; then return 0; fi
  fail "cannot write $1"
}

check_host() {
  [ "$(id -u)" = 0 ] || fail 'run this as root'
  for tool in apt-get dpkg curl openssl; do
    command -v "$tool" >/dev/null 2>&1 || fail "$tool is missing here; install it and run this again"
  done
  [ -e /etc/debian_version ] || fail 'this is no Debian host'
  id -u _apt >/dev/null 2>&1 || fail "apt's user _apt is missing here"
  now=$(date +%s)
  clock="the clock here says $(date -u +%Y-%m-%dT%H:%M:%SZ)"
  if [ "$now" -lt "$not_before" ]; then
    fail "$clock, which is before this kit was made: set the clock and run this again"
  fi
  if [ "$now" -ge "$not_after" ]; then
    fail "$clock; this kit was good until $until. Set the clock if it is wrong, or $again"
  fi
}

make_work() {
  # In memory where there is such a place: the keys are on no disk before they are where they stay.
  work=$(mktemp -d /run/aptkeep.XXXXXX 2>/dev/null) || work=$(mktemp -d) ||
    fail 'cannot make a temporary folder'
  journal=$work/journal
  : >"$journal"
}

# The sentence of a refusal; problem+json has it on one line.
read_detail() { sed -n 's/.*"detail":"\(\([^"\\]\|\\.\)*\)".*/\1/p' "$1" | sed 's/\\\(["\\]\)/\1/g'; }

ask_certificate() {
  printf '[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nCN=%s\n' "$name" >"$work/req.cnf"
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/host.key" \
    2>"$work/why" || fail "openssl cannot make a key: $(tail -n 1 "$work/why")"
  openssl req -new -config "$work/req.cnf" -key "$work/host.key" -out "$work/host.csr" \
    2>"$work/why" || fail "openssl cannot make a request: $(tail -n 1 "$work/why")"
  code=$(curl -q --silent --show-error --globoff --connect-timeout 20 --max-time 120 \
    --cacert "$work/ca.crt" --cert "$work/enrolment.crt" --key "$work/enrolment.key" \
    --header 'Content-Type: application/pkcs10' \
    --header 'Accept: application/pem-certificate-chain' \
    --data-binary "@$work/host.csr" --output "$work/answer" --write-out '%{http_code}' \
    "$url/v1/enrolment" 2>"$work/why") ||
    fail "the server $url cannot be reached: $(sed 's/^curl: //' "$work/why")"
  if [ "$code" != 201 ]; then
    why=$(read_detail "$work/answer")
    case $(cat "$work/answer") in
      *CERTIFICATE_REVOKED* | *CERTIFICATE_EXPIRED*)
        fail "the server refuses this kit: ${why:-status $code}. It was used, is void or too old: $again"
        ;;
    esac
    fail "the server refuses this kit: ${why:-status $code}"
  fi
  said=$(openssl x509 -noout -pubkey -in "$work/answer" 2>/dev/null)
  [ "$said" = "$(openssl pkey -pubout -in "$work/host.key")" ] ||
    fail "the server's answer is no certificate for this key. $again"
}

run_apt() {
  "$@" >"$work/log" 2>&1 && return 0
  sed 's/^/  /' "$work/log" >&2
  return 1
}

update_lists() {
  # As apt spells the names of its lists.
  lists=$(printf '%s' "${url#https://}" | sed 's/_/%5f/g; s/\[/%5b/; s/\]/%5d/')_dists_
  [ -e "$sources" ] || note lists - "$lists"
  place_files
  run_apt apt-get update -o "Dir::Etc::SourceList=$sources" -o Dir::Etc::SourceParts=/dev/null \
    -o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any ||
    fail "apt-get update failed, as above. This kit is used up: $again"
}

place_files() {
  write_files
  place "$host_crt" 0644 root <"$work/answer"
  place "$host_key" 0400 _apt <"$work/host.key"
}

install_client() {
  case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
    *' installed') ;;
    *) note package - "$package" ;;
  esac
  run_apt apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120 "$package" ||
    fail "apt-get install $package failed, as above. This kit is used up: $again"
}

main() {
  trap finish EXIT
  trap 'exit 1' HUP INT TERM
  check_host
  make_work
  write_secrets
  ask_certificate
  update_lists
  install_client
  aptkeep-client run || say 'the client will try again by itself' >&2
  say 'enrolled: apt reads the repository, and renews its certificate by itself'
}

# Called on the last line, so that half a kit does nothing.
main
