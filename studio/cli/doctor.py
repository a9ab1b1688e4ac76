"""`doctor`: what is well here, what is not, and what to do about it."""

import os
from argparse import Namespace

from studio.cli.output import Answer, note
from studio.doctor import examine
from studio.settings import Settings


def doctor(args: Namespace) -> Answer:
    """Exits 1 where something has failed; warnings alone are no failure."""
    settings = Settings.read(os.environ)
    note("Looking; PyTorch takes some seconds to load.")
    findings = list(examine(settings, os.environ))
    failed = any(finding.state == "failed" for finding in findings)
    signs = {"well": "ok", "warning": "warning", "failed": "FAILED"}
    lines = [f"{signs[finding.state]:8}{finding.name}: {finding.said}" for finding in findings]
    body = [{"name": finding.name, "state": finding.state, "said": finding.said} for finding in findings]
    return Answer(body={"well": not failed, "findings": body}, text="\n".join(lines), code=1 if failed else 0)
