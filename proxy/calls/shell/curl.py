"""Reads the words of a ``curl`` command."""

from collections.abc import Iterator

from proxy.calls.call import NotRead
from proxy.calls.shell.draft import Draft

_WITH_VALUE = {
    "-X": "method", "--request": "method", "-H": "header", "--header": "header",
    "-d": "data", "--data": "data", "--data-ascii": "data", "--data-binary": "data",
    "--data-raw": "raw", "--json": "data", "--url": "url", "--oauth2-bearer": "bearer",
}  # fmt: skip
_USER = "{} sends a password; the service takes 'Authorization: Bearer TOKEN'"
_OTHER_BODY = "{} is not supported: write the body itself with --data"
_NO_BODY = "{} sends no body, so it starts no run"
_REFUSED = {
    **dict.fromkeys(("-u", "--user"), _USER),
    **dict.fromkeys("-F --form --form-string -T --upload-file --data-urlencode -K --config".split(), _OTHER_BODY),
    **dict.fromkeys("-G --get -I --head".split(), _NO_BODY),
    "--next": "{} begins another call: write a command for each",
}
_VALUE_KEPT = frozenset(
    "-u --user -F --form --form-string -T --upload-file --data-urlencode -K --config --url-query"
    " --abstract-unix-socket --alt-svc --aws-sigv4 --cacert --capath -E --cert --cert-type --ciphers --connect-timeout"
    " --connect-to -C --continue-at -b --cookie -c --cookie-jar --create-file-mode --crlfile --curves --delegation"
    " --dns-interface --dns-ipv4-addr --dns-ipv6-addr --dns-servers --doh-url -D --dump-header --ech --egd-file"
    " --engine --etag-compare --etag-save --expect100-timeout --ftp-account --ftp-alternative-to-user --ftp-method -P"
    " --ftp-port --ftp-ssl-ccc-mode --happy-eyeballs-timeout-ms --haproxy-clientip --hostpubmd5 --hostpubsha256 --hsts"
    " --http-proxy --interface --ip-tos --ipfs-gateway --keepalive-cnt --keepalive-time --key --key-type --krb"
    " --libcurl --limit-rate --local-port --login-options --mail-auth --mail-from --mail-rcpt --max-filesize"
    " --max-redirs -m --max-time --netrc-file --noproxy -o --output --output-dir --parallel-max --pass --pinnedpubkey"
    " --preproxy --proto --proto-default --proto-redir -x --proxy --proxy-cacert --proxy-capath --proxy-cert"
    " --proxy-cert-type --proxy-ciphers --proxy-crlfile --proxy-header --proxy-key --proxy-key-type --proxy-pass"
    " --proxy-pinnedpubkey --proxy-service-name --proxy-tls13-ciphers --proxy-tlsauthtype --proxy-tlspassword"
    " --proxy-tlsuser -U --proxy-user --proxy1.0 --pubkey -Q --quote --random-file -r --range --rate -e --referer"
    " --request-target --resolve --retry --retry-delay --retry-max-time --sasl-authzid --service-name --socks4"
    " --socks4a --socks5 --socks5-gssapi-service --socks5-hostname -Y --speed-limit -y --speed-time --stderr -t"
    " --telnet-option --tftp-blksize -z --time-cond --tls-max --tls13-ciphers --tlsauthtype --tlspassword --tlsuser"
    " --trace --trace-ascii --trace-config --unix-socket -A --user-agent --variable --vlan-priority -w"
    " --write-out".split()
)
_HAS_VALUE = _WITH_VALUE.keys() | _VALUE_KEPT


def read(words: list[str]) -> Draft:
    """Read the words after the program.

    Raises:
        NotRead: an option has no value.
    """
    draft = Draft("curl")
    for option, value in _options(words):
        _add(draft, option, value)
    if draft.body is not None and draft.file is not None:
        draft.refuse("its body is put together from a file and other data: write it as one")
    draft.method = draft.method or ("GET" if draft.body is None and draft.file is None else "POST")
    return draft


def _add(draft: Draft, option: str, value: str) -> None:
    if option in _REFUSED:
        draft.refuse(_REFUSED[option].format(option))
    match _WITH_VALUE.get(option):
        case "method":
            draft.method = value
        case "url":
            draft.add_url(value)
        case "header" if ":" not in value:  # several headers, in a file or a variable
            draft.options.append((option, value))
        case "header":
            draft.add_header(value)
        case "bearer":
            draft.headers.append(("Authorization", f"Bearer {value}"))
        case "data" if value.startswith("@"):
            draft.file = value[1:]
        case "data" | "raw":
            draft.add_body(value)
        case _:
            draft.options.append((option, value) if option in _VALUE_KEPT else (option,))


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Each option with its value; a flag has an empty one. A word that is no option is a URL."""
    rest = iter(words)
    for word in rest:
        if word == "--":
            yield from (("--url", url) for url in rest)
        elif not word.startswith("-") or word == "-":
            yield "--url", word
        else:
            *flags, (name, attached) = _split(word)
            yield from flags
            value = attached if attached or name not in _HAS_VALUE else next(rest, None)
            if value is None:
                raise NotRead(f"{name} has no value")
            yield name, value


def _split(word: str) -> list[tuple[str, str]]:
    """Split words such as ``-sXPOST`` and ``-d{}``, whose last option may have its value right after it."""
    if word.startswith("--"):
        return [(word, "")]
    options: list[tuple[str, str]] = []
    for index in range(1, len(word)):
        short = f"-{word[index]}"
        if short in _HAS_VALUE:
            return [*options, (short, word[index + 1 :])]
        options.append((short, ""))
    return options
