#!/bin/sh
# Writes versions.tsv: what dpkg says of nasty versions. Needs dpkg only; run it in this folder.
# First each version alone (valid or invalid), then pairs with their order (lt, eq, gt): each
# version with its neighbours one, two and seven further down the list.
set -eu
out=versions.tsv
printf '# Written by make-versions.sh with dpkg %s.\n' "$(dpkg-query -W -f '${Version}' dpkg)" >$out
list=$(mktemp)
while IFS= read -r version; do
  if dpkg --validate-version "$version" 2>/dev/null; then
    printf 'valid\t%s\n' "$version" >>$out
    printf '%s\n' "$version" >>"$list"
  else
    printf 'invalid\t%s\n' "$version" >>$out
  fi
done <<'EOF'
0
00
0:0
1
01
1.
1.0
1.00
1.0.0
1.0-0
1.0-00
1.0-1
1.0-01
1.0-1-1
1.0-1-2
1-0-1
1.0-1~
1.0~
1.0~-1
1.0~~
1.0~~a
1.0~rc1
1.0~rc1-1
1.0~rc1~git5-0.1
1.0~rc2
1.0~1
1.0a
1.0A
1.0Z
1.0aa
1.0+
1.0+b1
1.0+nmu1
1.0-1+b1
1.0-1+b10
1.0-1+b2
1.0-1+deb12u1
1.0-1~bpo12+1
1.0-1.1
1.0.
1.0..1
1.0.a
1.0.+
1.0.-1
1.0-a
1.0-~
1.0-+
1.0-.
1..-~
1:0
1:1.0
1:1.0-1
2:0.1
01:1
10:1
9:9
2147483647:1
2147483648:1
99999999999999999999:1
1:2:3
1:2-3:4
0:0-0:0
1.0-a:b
1:
:1
-1
1:-1
1.0-
1-
a1.0
~1
+1
.1
v1.0
1.0_1
1 .0
1.0 1
1/2
1,2
1=2
1.0é
0x1:2
-1:1
1e5
1E5
20261123
20261123120000
202611231200000000000000
202611231200000000000001
9007199254740992
9007199254740993
9007199254740994
18446744073709551615
18446744073709551616
18446744073709551617
1.9007199254740993
1.9007199254740992
0.9007199254740993-18446744073709551616
0.9007199254740993-18446744073709551617
1.000000000000000000000000000000002
1.2
1.10
1.9
1.09
1.010
1.0010
1.1a
1.a1
1.a10
1.a9
1.a09
1.ab1
1.a.b
1.a+b
1.a~b
1.a-b
1.a--b
1--1
1---
1---1
1.0~+
1.0+~
1.0~.
1.0.~
1.0~0
1.0~00
1.0~a0
1.0~a00
1.0-0~0
1.0-0~
1.0+0
1.0+00
1.0-0+0
1.0zz
1.0zz9
1.0zz10
1.0z.z
1.0z+z
2.7.2-linux-1
2.7.3-1
2.7.2-linux-10
5.36.0-7+deb12u2
5.36.0-7
5.36.0-7~
3.0~git20200101.abcdef
3.0~git20200101.abcdef-1
3.0~git20200101.1bcdef-1
3.0+git20200101.abcdef-1
3.0+dfsg-1
3.0+dfsg1-1
3.0+really2.9-1
3.0~really2.9-1
1.2.3+ds-4ubuntu5.6~22.04.1
1.2.3+ds-4ubuntu5.6~22.04.10
1.2.3+ds-4ubuntu5
1.2.3+ds-4build1
1.2.3+ds-4
EOF
for step in 1 2 7; do
  tail -n +$((step + 1)) "$list" | paste "$list" - | while IFS='	' read -r a b; do
    [ -n "$b" ] || continue
    for relation in lt eq gt; do
      if dpkg --compare-versions "$a" "$relation" "$b"; then
        printf '%s\t%s\t%s\n' "$relation" "$a" "$b" >>$out
      fi
    done
  done
done
rm -f "$list"
