#!/usr/bin/env bash
# Verifies an evidence folder with openssl 3 and coreutils alone: seals, certificates, log proofs, digests. No Trục code, no jq, no xxd.
# usage: verify.sh FOLDER [TRUST]    TRUST holds ca.pem and vkeys.txt that you trust; without it the folder's own are used. Exit code 0, 1, or 2 for usage.
set -euo pipefail; export LC_ALL=C.UTF-8
E=${1:?usage: verify.sh FOLDER [TRUST]}; [ -d "$E" ] || { echo "verify.sh: $E is no folder" >&2; exit 2; }; T=${2:-$E/trust}; W=$(mktemp -d); trap 'rm -rf "$W"' EXIT
fail() { echo "failed  $*"; echo "TOTAL-FAILED: chứng cứ không hợp lệ"; exit 1; }; trap 'fail "line $LINENO"' ERR; set -E
hexbin() { printf '%b' "$(sed 's/../\\x&/g' <<<"$1")"; }                                    # hexadecimal to bytes
hex() { od -An -v -tx1 | tr -d ' \n'; }; sha() { sha256sum | cut -c1-64; }                     # bytes to hexadecimal; digest
b64() { base64 -d <<<"$1" >"$W/b64" && [ "$(base64 -w0 "$W/b64")" = "$1" ] || fail "base64: $1"; cat "$W/b64"; }  # one spelling only
text() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$2"; }                                    # last text under a key of our compact JSON
first() { grep -o "\"$1\":\"[^\"]*\"" "$2" | head -1 | cut -d'"' -f4; }
key() { { hexbin 302a300506032b6570032100; cat; } | openssl pkey -pubin -inform DER -out "$1"; }
find "$E" -type l | grep -q . && fail "a link"
while read -r f; do grep -qxE 'envelope\.(dsse\.json|tlog-proof)|facts/[0-9]{2}-[a-z-]+\.(json|tlog-proof)|receipts/[0-9]{2}-[a-z-]+\.(dsse\.json|tlog-proof)|attachments/[0-9]{2}|message\.edxml|trust/(ca\.pem|chain\.pem|vkeys\.txt)|VERIFY\.txt' <<<"$f" || fail "unknown file $f"
done < <(cd "$E" && find . -type f | cut -c3-)
G=$(dirname "$0")/../crates/edge/src/verify.txt; [ ! -f "$E/VERIFY.txt" ] || [ ! -f "$G" ] || cmp -s "$G" "$E/VERIFY.txt" || fail "VERIFY.txt is not ours: do not follow it"
cmp -s "$E/trust/ca.pem" "$T/ca.pem" || fail "another authority than yours"; cmp -s <(openssl x509 -in "$E/trust/ca.pem") "$E/trust/ca.pem" || fail "trust/ca.pem in another spelling"
awk '/BEGIN/{n++} {print > (w "/cert" n)}' w="$W" "$E/trust/chain.pem"; for c in "$W"/cert*; do cmp -s <(openssl x509 -in "$c") "$c" || fail "trust/chain.pem in another spelling"; done
while read -r v; do grep -qxF "$v" "$T/vkeys.txt" || fail "another log key than yours"; done <"$E/trust/vkeys.txt"; [ -z "$(tail -c1 "$E/trust/vkeys.txt")" ] || fail "vkeys.txt"
included() { # $1 statement, $2 proof: RFC 9162 section 2.1.3.2 over a C2SP tlog-proof; sets INDEX SIZE ORIGIN
  local fn sn r p id vkey; mapfile -t L <"$2"
  [ "${L[0]}" = c2sp.org/tlog-proof@v1 ] && [[ ${L[1]} =~ ^index\ (0|[1-9][0-9]{0,15})$ ]] || fail "$2"; INDEX=${BASH_REMATCH[1]}
  local i=2; while [ -n "${L[i]}" ]; do i=$((i+1)); done; local path=("${L[@]:2:i-2}")
  ORIGIN=${L[i+1]} SIZE=${L[i+2]} ROOT=${L[i+3]}; [ "${#L[@]}" -eq $((i+6)) ] && [[ $SIZE =~ ^[1-9][0-9]{0,15}$ ]] && [ -z "${L[i+4]}" ] && [ -z "$(tail -c1 "$2")" ] || fail "$2"
  vkey=$(grep -F "$ORIGIN+" "$T/vkeys.txt" | head -1); id=$(cut -d+ -f2 <<<"$vkey"); b64 "${vkey#*+*+}" >"$W/vk"
  [ "$({ printf '%s\n' "$ORIGIN"; cat "$W/vk"; } | sha | cut -c1-8)" = "$id" ] || fail "key id of $ORIGIN"; tail -c32 "$W/vk" | key "$W/log.pem"
  [[ ${L[i+5]} = "— $ORIGIN "* ]] || fail "$2: not signed by $ORIGIN"; b64 "${L[i+5]##* }" >"$W/s"; [ "$(head -c4 "$W/s" | hex)" = "$id" ] || fail "$2: key id"
  tail -c+5 "$W/s" >"$W/sig"; printf '%s\n%s\n%s\n' "${L[@]:i+1:3}" >"$W/body"
  openssl pkeyutl -verify -rawin -pubin -inkey "$W/log.pem" -sigfile "$W/sig" -in "$W/body" >/dev/null || fail "$2: signature"
  r=$({ printf '\0'; cat "$1"; } | sha); fn=$INDEX sn=$((SIZE-1)); [ "$fn" -le "$sn" ] || fail "$2"
  for p in "${path[@]}"; do p=$(b64 "$p" | hex); [ "$sn" -gt 0 ] && [ ${#p} = 64 ] || fail "$2: path"
    if ((fn & 1)) || ((fn == sn)); then r=$(hexbin "01$p$r" | sha); while ! ((fn & 1)) && ((fn)); do fn=$((fn>>1)) sn=$((sn>>1)); done; else r=$(hexbin "01$r$p" | sha); fi
    fn=$((fn>>1)) sn=$((sn>>1)); done
  [ "$sn" = 0 ] && [ "$r" = "$(b64 "${L[i+3]}" | hex)" ] || fail "$2: root"; echo "passed  ${1#"$E"/}: leaf $INDEX of $SIZE in $ORIGIN"; }
sealed() { # $1 DSSE file, $2 agency, $3 time: DSSE 1.0.2, one signer; the certificate up to the authority at that time
  local c n=0; first sig "$1" >"$W/t"; b64 "$(cat "$W/t")" >"$W/sig"; local at; at=$(date -u -d "$3" +%s)
  [[ $(cat "$1") =~ ^\{\"payloadType\":\"application/vnd.in-toto\+json\",\"payload\":\"[A-Za-z0-9+/=]+\",\"signatures\":\[\{\"keyid\":\"([0-9a-f]{64})\",\"sig\":\"[A-Za-z0-9+/=]+\"\}\]\}$ ]] || fail "$1: form"; local id=${BASH_REMATCH[1]}
  grep -q "\"required_signers\":\[{\"role\":\"seal\",\"keyid\":\"$id\"," "$W/p" || fail "$1: not the required signer"
  for c in "$W"/cert*; do [ "$(openssl x509 -in "$c" -outform DER | sha)" = "$(text cert_sha256 "$W/p")" ] || continue; n=1
    openssl verify -attime "$at" -purpose any -check_ss_sig -CAfile "$T/ca.pem" "$c" >/dev/null || fail "$1: certificate"
    openssl x509 -in "$c" -noout -ext subjectAltName | grep -qx " *URI:urn:truc:agency:$2" || fail "$1: seal is not of $2"
    openssl x509 -in "$c" -noout -ext extendedKeyUsage | grep -qE '1\.3\.6\.1\.5\.5\.7\.3\.36|Document Signing' || fail "$1: not for documents"
    openssl x509 -in "$c" -noout -pubkey >"$W/pub"; [ "$(openssl pkey -pubin -in "$W/pub" -outform DER | sha)" = "$id" ] || fail "$1: key"; done
  [ $n = 1 ] || fail "$1: certificate missing"; { printf 'DSSEv1 28 application/vnd.in-toto+json %s ' "$(stat -c %s "$W/p")"; cat "$W/p"; } >"$W/pae"
  openssl pkeyutl -verify -rawin -pubin -inkey "$W/pub" -sigfile "$W/sig" -in "$W/pae" >/dev/null || fail "$1: seal"; echo "passed  ${1#"$E"/}: sealed by $2"; }
P=(envelope.dsse.json); for f in "$E"/facts/*.json "$E"/receipts/*.json; do [ ! -e "$f" ] || P+=("${f#"$E"/}"); done
[ "$(find "$E" -name '*.tlog-proof' | wc -l)" = "${#P[@]}" ] || fail "a statement or a proof is missing"
declare -A LEAF; for f in "${P[@]}"; do s=${f%.json}; included "$E/$f" "$E/${s%.dsse}.tlog-proof"; LEAF[$f]="$ORIGIN $INDEX"; echo "$ORIGIN $SIZE $ROOT" >>"$W/roots"; done
[ -z "$(sort -u "$W/roots" | cut -d' ' -f1,2 | uniq -d)" ] || fail "two roots of one size: the log shows two histories"
A=("$E"/facts/*-accepted.json); [ "${#A[@]}" = 1 ] || fail "not exactly one accepted fact"; AT=$(text block_time "${A[0]}")
D=$(sha <"$E/envelope.dsse.json"); load() { b64 "$(first payload "$1")" >"$W/p"; }; load "$E/envelope.dsse.json"; M=$(first message_id "$W/p") S=$(first agency "$W/p")
for f in "$E"/facts/*.json; do grep -q "^{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":\[{\"name\":\"$M\",\"digest\":{\"sha256\":\"$D\"}}\],\"predicateType\":\"https://truc.example/fact/v1\"" "$f" || fail "${f#"$E"/} is of another envelope"; done
grep -q "\"leaf\":${LEAF[envelope.dsse.json]#* }," "${A[0]}" || fail "the fact names another leaf"; sealed "$E/envelope.dsse.json" "$S" "$AT"
[ "$(grep -o '"recipients":\[[^]]*\]' "$W/p" | grep -o '"[A-Z0-9.]*"')" = "$(grep -o '"recipient":"[^"]*"' "${A[0]}" | cut -d: -f2)" ] || fail "other recipients"
grep -o '{"name":"[^"]*","digest":{"sha256":"[0-9a-f]*"}}' "$W/p" | sed 's/{"name":"\([^"]*\)".*:"\([0-9a-f]*\)"}}/\2  \1/' >"$W/sums"
LAST=${LEAF[${A[0]#"$E"/}]}; SEEN=; for f in "${P[@]}"; do [[ $f = receipts/* ]] || continue; load "$E/$f"; [ "$(first event "$W/p" | tr _ -)" = "$(cut -c13- <<<"${f%.dsse.json}")" ] || fail "$f: event"
  grep -q "{\"name\":\"$M\",\"digest\":{\"sha256\":\"$D\"}}" "$W/p" && grep -q "\"original_sender\":\"$S\"" "$W/p" || fail "$f is of another envelope"; I=$(first issuer "$W/p")
  grep -q "\"agency\":\"$I\"" "${A[0]}" || fail "$f: the axis queued nothing for $I"; sealed "$E/$f" "$I" "$(text created_at "$W/p")"
  [[ ${LAST% *} < ${LEAF[$f]% *} || ${LAST#* } -lt ${LEAF[$f]#* } ]] || fail "$f stands too early in the log"; LAST=${LEAF[$f]}
  case $f in *-fetched.*) [ -z "$SEEN" ] || fail "fetched twice";; *) [ -n "$SEEN" ] || fail "not fetched";; esac; SEEN=1; done
while read -r sum name; do if [ ! -e "$E/$name" ]; then echo "absent  $name: not here, not checked"; else [ "$(sha <"$E/$name")" = "$sum" ] || fail "$name is not what the envelope seals"; echo "passed  $name: digest $sum"; fi; done <"$W/sums"
for f in "$E"/attachments/* "$E"/message.edxml; do [ ! -e "$f" ] || grep -q "  ${f#"$E"/}$" "$W/sums" || fail "the envelope does not name ${f#"$E"/}"; done
[ $# = 2 ] || echo "note    trust: the folder's own; this shows only that the evidence agrees with itself"
echo "TOTAL-PASSED: chứng cứ hợp lệ"
