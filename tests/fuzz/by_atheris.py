"""All targets of webhooks under atheris: the first byte chooses the sender, the rest is what it sends."""

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["services.scoring.domain", "standardwebhooks", "shared.errors", "xml.etree", "json"]
):
    from tests.fuzz.targets import ORGANIZATION, WEBHOOKS

TARGETS = [WEBHOOKS[name] for name in sorted(WEBHOOKS)]
_WORDS = (
    "subscriptionType objectId objectTypeId occurredAt mergedObjectIds associationType company.creation 0-2 "
    "account.changed record.changed account_id record_ids hubspot companies v1, v1 v2 v3 Notification sObject "
    "OrganizationId Envelope xsi:type <!DOCTYPE &#0; ]]> 1e999 NaN \\\\ud800"
).split()
_BODIES = {
    "hubspot": b'[{"eventId":1,"portalId":2,"occurredAt":1564113600000,"subscriptionType":"company.merge",'
    b'"objectId":3,"mergedObjectIds":[4,5],"primaryObjectId":4,"newObjectId":6}]',
    "standard": b'{"type":"record.changed","source":"hubspot","object":"companies","record_ids":["1","2"]}',
    "salesforce": (
        '<?xml version="1.0"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:sf="urn:x" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><e:Body><notifications '
        f'xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>{ORGANIZATION}</OrganizationId>'
        '<Notification><Id>04l000000000001AAA</Id><sObject xsi:type="sf:Account"><sf:Id>001000000000001AAA</sf:Id>'
        "</sObject></Notification></notifications></e:Body></e:Envelope>"
    ).encode(),
    "signature": b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\x001614265330\x00msg_1\x00{}",
}


def one_input(data: bytes) -> None:
    if data:
        TARGETS[data[0] % len(TARGETS)](data[1:])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus, words = Path(folder) / "corpus", Path(folder) / "words"
        corpus.mkdir()
        for number in range(len(TARGETS)):
            for name, body in _BODIES.items():
                (corpus / f"{name}-{number}").write_bytes(bytes([number]) + body)
        words.write_text("".join(f'"{word}"\n' for word in _WORDS))
        limits = [f"-max_total_time={int(chosen.seconds)}", f"-seed={chosen.seed % 2**31}", "-max_len=8192"]
        limits += ["-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={folder}/"]
        atheris.Setup([sys.argv[0], str(corpus), *limits, f"-dict={words}"], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
