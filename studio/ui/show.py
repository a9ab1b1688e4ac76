"""What the page shows of jobs, pictures and credits, as HTML. Every text that a person wrote is escaped here."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from studio import answers
from studio.domain import Charge, CreditKind, Job, Picture

KINDS: Mapping[CreditKind, str] = {"playground": "Playground", "tune": "Tune", "tune_image": "Tune image"}
STATES = {"queued": "Waiting", "running": "Running", "done": "Done", "failed": "Failed", "cancelled": "Cancelled"}


def price(charges: Sequence[Charge]) -> str:
    """`4 playground credits`."""
    return answers.in_words({charge.kind: charge.amount for charge in charges})


def moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def left(seconds: float | None) -> str:
    """`12 s left`, `3 min left`, or nothing where it isn't known."""
    if seconds is None:
        return ""
    return f"{seconds:.0f} s left" if seconds < 90 else f"{seconds / 60:.0f} min left"


def job(shown: Job | None) -> str:
    """State, progress, preview, warnings and failure of a job."""
    if shown is None:
        return '<p class="hint">Pictures appear here. Write a prompt and press Generate.</p>'
    done = shown.delivered if shown.ended else shown.step
    most = max(shown.request.pictures if shown.ended else shown.steps, 1)
    words = [STATES[shown.state], shown.message if shown.state == "running" else "", left(shown.seconds_left)]
    parts = [
        f'<p class="state">{escape(" - ".join(word for word in words if word))}</p>',
        f'<progress aria-label="Progress of the job" max="{most}" value="{min(done, most)}"></progress>',
    ]
    if shown.state == "running" and shown.preview:
        parts.append(f'<img class="preview" alt="Preview" src="preview/{shown.id}?step={shown.step}">')
    parts += [f'<p class="warning">{escape(warning)}</p>' for warning in shown.warnings]
    if shown.error:
        parts.append(f'<p class="error" role="alert">{escape(shown.error)}</p>')
    return "".join(parts)


def pictures(shown: Sequence[Picture], empty: str) -> str:
    """A grid of pictures; each opens its file and has its recipe beside it."""
    if not shown:
        return f'<p class="hint">{escape(empty)}</p>'
    return f'<div class="grid">{"".join(_figure(picture) for picture in shown)}</div>'


def _figure(picture: Picture) -> str:
    recipe = picture.recipe
    prompt = str(recipe.get("prompt", ""))
    facts = {
        "prompt": prompt,
        "negative": recipe.get("negative"),
        "base": picture.base,
        "style": picture.style,
        "steps": recipe.get("steps"),
        "guidance": recipe.get("guidance"),
        "scheduler": recipe.get("scheduler"),
        "seed": picture.seed,
        "size": f"{picture.width}x{picture.height}",
    }
    rows = "".join(f"<dt>{name}</dt><dd>{escape(str(value))}</dd>" for name, value in facts.items() if value)
    source = f"media/{picture.id}.png"
    return (
        f'<figure><a href="{source}" target="_blank"><img loading="lazy" decoding="async" src="{source}" '
        f'width="{picture.width}" height="{picture.height}" alt="{escape(prompt, quote=True)}"></a>'
        f"<figcaption><details><summary>Recipe</summary><dl>{rows}</dl></details>"
        f'<a download="likeness-{picture.id}.png" href="{source}">Download</a></figcaption></figure>'
    )


def balances(shown: Mapping[str, Any]) -> str:
    """`Playground 0 - Tune 0 - Tune image 0`, with what is held, of `answers.of_balances`."""
    words = [
        f"{name} <b>{shown[kind]['available']}</b>" + (f" ({shown[kind]['held']} held)" if shown[kind]["held"] else "")
        for kind, name in KINDS.items()
    ]
    return f'<p class="balances">{" &middot; ".join(words)}</p>'


def table(head: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> str:
    if not rows:
        return f'<p class="hint">{escape(empty)}</p>'
    cells = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    return f'<div class="table"><table><thead><tr>{names}</tr></thead><tbody>{cells}</tbody></table></div>'


def jobs(shown: Sequence[Job]) -> str:
    rows = [
        (
            moment(one.created_at),
            STATES[one.state],
            f"{one.delivered} of {one.request.pictures}",
            answers.in_words(answers.charged(one)) if one.ended else f"{price(one.charges)} held",
            one.error or one.message or left(one.seconds_left),
        )
        for one in shown
    ]
    return table(("Asked", "State", "Pictures", "Price", "What it says"), rows, "No jobs yet.")


def history(shown: Sequence[Mapping[str, Any]]) -> str:
    """The account book, of `answers.of_entry`."""
    rows = [
        (moment(e["at"]), KINDS[e["kind"]], e["phase"], e["posted"] or "", e["held"] or "", e["reason"] or "")
        for e in shown
    ]
    return table(("When", "Kind", "Entry", "Posted", "Held", "Why"), rows, "Nothing has been charged yet.")
