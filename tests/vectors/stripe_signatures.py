"""Makes stripe_signatures.json: what Stripe's own SDKs say of each signature.

    python3 -m venv v && v/bin/pip install stripe==16.1.0 && npm install stripe@23.1.0
    v/bin/python tests/vectors/stripe_signatures.py

The two must agree on each case, or nothing is written. A case with several secrets (a rotation) is accepted when
one of them is: each SDK takes one at a time.
"""

import hashlib
import hmac
import json
import pathlib
import subprocess
from unittest import mock

import stripe

NOW = 1_790_000_000
NEW, OLD, OTHER = "whsec_new", "whsec_old", "whsec_other"
BODY = '{"id":"evt_1","object":"event","type":"invoice.paid","created":1790000000,"livemode":false,' \
       '"data":{"object":{"id":"in_1","customer":"cus_1","note":"à payer — 12 €"}}}'

NODE = """
const { webhooks } = require('stripe')('sk_test_x');
const [now, cases] = JSON.parse(require('fs').readFileSync(0, 'utf8'));
console.log(JSON.stringify(cases.map(({ body, header, secrets }) => secrets.some((secret) => {
  try { return webhooks.signature.verifyHeader(body, header, secret, 300, undefined, now * 1000); } catch { return false; }
}))));
"""


def v1(secret, at=NOW, body=BODY):
    return hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()


def case(name, header, body=BODY, secrets=(NEW, OLD)):
    return {"name": name, "body": body, "header": header, "secrets": list(secrets)}


def signed(name, at=NOW, by=NEW, **rest):
    return case(name, f"t={at},v1={v1(by, at)}", **rest)


def cases():
    spaced = json.dumps(json.loads(BODY), ensure_ascii=False)
    escaped = json.dumps(json.loads(BODY), separators=(",", ":"))
    yield signed("signed with the new secret")
    yield signed("signed with the old secret", by=OLD)
    yield signed("signed with another secret", by=OTHER)
    yield signed("signed with the old secret, which is no longer listed", by=OLD, secrets=[NEW])
    yield case("signed with both, in either order", f"t={NOW},v1={v1(OLD)},v1={v1(NEW)}", secrets=[NEW])
    yield case("signed with both, in the other order", f"t={NOW},v1={v1(NEW)},v1={v1(OLD)}", secrets=[NEW])
    yield case("a wrong signature beside the right one", f"t={NOW},v1={'0' * 64},v1={v1(NEW)}")
    yield case("two wrong signatures", f"t={NOW},v1={'0' * 64},v1={v1(OTHER)}")
    yield case("an amount changed", f"t={NOW},v1={v1(NEW)}", body=BODY.replace("12 €", "99 €"))
    yield case("a byte more", f"t={NOW},v1={v1(NEW)}", body=BODY + "\n")
    yield case("parsed and written again", f"t={NOW},v1={v1(NEW)}", body=spaced)
    yield case("parsed and written again with escapes", f"t={NOW},v1={v1(NEW)}", body=escaped)
    yield case("another moment in the header than was signed", f"t={NOW - 1},v1={v1(NEW)}")
    yield signed("299 seconds old", at=NOW - 299)
    yield signed("300 seconds old", at=NOW - 300)
    yield signed("301 seconds old", at=NOW - 301)
    yield signed("a day old", at=NOW - 86_400)
    yield signed("300 seconds in the future", at=NOW + 300)
    yield signed("600 seconds in the future", at=NOW + 600)
    yield case("no header", "")
    yield case("garbage", "nonsense")
    yield case("no signature", f"t={NOW}")
    yield case("no moment", f"v1={v1(NEW)}")
    yield case("a moment that is no number", f"t=soon,v1={v1(NEW)}")
    yield case("only the scheme of test events", f"t={NOW},v0={v1(NEW)}")
    yield case("an unknown scheme beside", f"t={NOW},v0={'0' * 64},v1={v1(NEW)},v2=x")
    yield case("half a signature", f"t={NOW},v1={v1(NEW)[:32]}")
    yield case("an empty signature", f"t={NOW},v1=")
    yield case("a signature that is no hex", f"t={NOW},v1={'z' * 64}")
    yield case("a signature in upper case", f"t={NOW},v1={v1(NEW).upper()}")
    yield case("the signature before the moment", f"v1={v1(NEW)},t={NOW}")
    yield case("a trailing comma", f"t={NOW},v1={v1(NEW)},")


def accepts(one, secret):
    try:
        with mock.patch("time.time", return_value=NOW):
            return stripe.WebhookSignature.verify_header(one["body"], one["header"], secret, 300)
    except Exception:
        return False


def main():
    made = list(cases())
    by_python = [any(accepts(one, secret) for secret in one["secrets"]) for one in made]
    answer = subprocess.run(["node", "-e", NODE], input=json.dumps([NOW, made]), text=True, capture_output=True, check=True)
    by_node = json.loads(answer.stdout)
    apart = [one["name"] for one, a, b in zip(made, by_python, by_node) if bool(a) != bool(b)]
    if apart:
        raise SystemExit(f"the SDKs disagree: {apart}")
    for one, accepted in zip(made, by_python):
        one["accepted"] = bool(accepted)
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({"now": NOW, "cases": made}, ensure_ascii=False, indent=1) + "\n")
    print(len(made), "cases,", sum(one["accepted"] for one in made), "accepted")


main()
