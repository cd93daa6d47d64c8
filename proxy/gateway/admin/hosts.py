"""Which hosts the admin pages answer to.

A web page can make its own name resolve to the address of the admin listener (DNS rebinding). The browser then lets it
read what the listener answers, but sends that name in ``Host``. It does not work with an address in place of the name.
"""

import ipaddress
import re
from collections.abc import Container

from proxy.config import Config
from proxy.config.values import Address

_PORT = re.compile(r":\d*\Z")


def own_names(config: Config) -> frozenset[str]:
    """The names to which the pages answer, in lower case."""
    own = [config.admin.host] if isinstance(config.admin, Address) else []
    return frozenset(name.lower() for name in ("localhost", *own, *config.admin_hosts))


def is_own(host: str, names: Container[str]) -> bool:
    """Whether a ``Host`` header has an address, or one of the names.

    Any address will do: the listener does not know by which one a tunnel or a container's network leads to it.

    Args:
        host: the header; its port does not matter.
        names: in lower case.
    """
    name = _PORT.sub("", host).lower().removesuffix(".")
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return name in names
    return True
