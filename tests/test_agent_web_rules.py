"""The user's rules on hosts, as the web tools of a session keep them."""

from pathlib import Path

import pytest

from agent.policy import Policy
from agent.wiring.web_tools import web_tools
from errors import ToolError
from settings import load_settings
from tests.trap_site import Site, body, redirect
from tools.addresses import host_of

pytestmark = pytest.mark.usefixtures("no_proxy")


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("network=deny, localhost=allow", "not allowed unasked"),
        ("network=ask, localhost=allow", "not allowed unasked"),
        ("visit_webpage=ask, localhost=allow", "not allowed unasked"),
        ("127.0.0.1=ask", "not allowed unasked"),
        ("127.0.0.1=deny", "does not allow visits to"),
        ("network=ask, localhost=allow, 127.0.0.1=allow", ""),
        ("", ""),
    ],
)
def test_a_redirect_does_not_get_round_the_rules(tmp_path: Path, rules: str, said: str) -> None:
    with Site({"/data": body(b"inner")}) as inner, Site({"/": redirect(inner.url("/data"))}) as out:
        settings = load_settings(tmp_path, data_dir=tmp_path, web_allow="127.0.0.0/8")
        visit = next(
            tool
            for tool in web_tools(settings, Policy.parse(rules))
            if tool.name == "visit_webpage"
        )
        address = f"http://localhost:{out.port}/"
        if not said:
            assert visit(url=address) == "inner"
            return
        with pytest.raises(ToolError, match=said) as error:
            visit(url=address)
        assert error.value.seen_as is PermissionError


@pytest.mark.parametrize(
    ("rule", "address"),
    [
        ("bücher.de=deny", "https://BÜCHER.de/x"),
        ("*.straße.de=deny", "https://www.straße.de"),
        ("xn--bcher-kva.de=deny", "https://bücher.de"),
        ("example.com=deny", "http://example。com/"),
        ("example.com=deny", "http://user:word@EXAMPLE.com.:8080"),
    ],
)
def test_a_rule_on_a_domain_however_it_is_spelled(tmp_path: Path, rule: str, address: str) -> None:
    policy = Policy.parse(load_settings(tmp_path, tool_policy=rule).tool_policy)
    assert policy.decide("visit_webpage", {"network"}, host_of(address)).answer == "deny"


@pytest.mark.parametrize("address", ["http://%65xample.com/", "http://a b.com", "http://a<b>.com"])
def test_a_host_that_is_no_plain_name_is_none(address: str) -> None:
    assert host_of(address) == ""
