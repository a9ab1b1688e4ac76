"""The page as a whole: its tabs, its look, and how it is served."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
from gradio import themes

from studio import answers
from studio.domain import StudioError
from studio.service import Studio
from studio.ui import access, api, credits, gallery, jobs, playground, show
from studio.ui.access import account_of

THEME = themes.Base(
    primary_hue="teal",
    neutral_hue="slate",
    radius_size="md",
    spacing_size="sm",
    # Names of fonts that systems have: nothing is fetched from elsewhere.
    font=["Inter", "ui-sans-serif", "system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
)
CSS = """
.grid {display:grid; grid-template-columns:repeat(auto-fill,minmax(190px,1fr)); gap:12px}
.grid figure {margin:0} .grid img {width:100%; height:auto; border-radius:8px; display:block}
.grid figcaption {display:flex; justify-content:space-between; gap:8px; font-size:13px; padding:4px 0}
.grid dl {margin:4px 0} .grid dt {opacity:.75; font-size:12px} .grid dd {margin:0 0 4px; overflow-wrap:anywhere}
.hint {opacity:.8; padding:8px 0} .error {color:#b3261e; font-weight:600} .dark .error {color:#ffb4ab}
.warning {font-style:italic} .preview {width:256px; max-width:100%; border-radius:8px; image-rendering:pixelated}
progress {width:100%; height:10px; accent-color:#0f766e}
.table {overflow-x:auto} .table table {width:100%; border-collapse:collapse}
.table th, .table td {text-align:left; padding:4px 10px; border-bottom:1px solid rgba(128,128,128,.3)}
.balances {text-align:right}
"""
KEYS = """<script>
document.addEventListener('keydown', event => {
  if (!(event.ctrlKey || event.metaKey) || event.key !== 'Enter') return;
  const button = document.getElementById('generate');
  if (button && !button.disabled && button.offsetParent) { button.click(); event.preventDefault(); }
}, true);
</script>"""


def build(studio: Studio) -> gr.Blocks:
    """The page's layout, wired to the studio."""
    with gr.Blocks(title="Likeness", fill_width=True, delete_cache=(3600, 86400)) as page:
        with gr.Row():
            gr.Markdown("# Likeness")
            balances = gr.HTML(elem_id="balances")
        with gr.Tabs():
            with gr.Tab("Playground", id="playground"):
                made = playground.build(studio, page)
            with gr.Tab("Gallery", id="gallery") as tab:
                gallery.build(studio, tab)
            with gr.Tab("Jobs", id="jobs") as tab:
                jobs.build(studio, tab)
            with gr.Tab("Credits", id="credits") as tab:
                credits.build(studio, tab)
        api.build(studio)

        def paint(request: gr.Request) -> str:
            trouble = studio.trouble
            banner = f'<p class="error" role="alert">{trouble.message}</p>' if trouble else ""
            return show.balances(answers.of_balances(studio.balances(account_of(request)))) + banner

        for event in (page.load, made.timer.tick, made.generate.then, made.cancel.then):
            event(paint, None, balances, queue=False, show_progress="hidden", api_visibility="private")
        page.load(None, None, None, js="() => { document.body.dataset.ready = '1' }", api_visibility="private")
    return page


def launch_options(studio: Studio) -> dict[str, Any]:
    """What `launch` is given besides where to listen. The worker starts and stops with the server."""
    settings = studio.settings

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        studio.start()
        yield
        studio.stop()

    return {
        "theme": THEME,
        "css": CSS,
        "head": KEYS,
        "footer_links": ["api"],
        "enable_monitoring": False,
        "run_history": False,
        "share": False,
        "inbrowser": False,
        "mcp_server": settings.mcp,
        "max_file_size": settings.upload_mb << 20,
        # Everything of the data folder but the cache, which gradio serves from.
        "blocked_paths": [str(path) for path in settings.data.iterdir() if path.name != "cache"],
        "auth_dependency": access.identify,
        "app_kwargs": {
            "routes": access.routes(studio),
            "middleware": access.middleware(settings.host),
            "lifespan": lifespan,
            "docs_url": None,
            "redoc_url": None,
        },
    }


def serve(studio: Studio) -> None:
    """Serves the page and works the queue until interrupted. Raises StudioError where the port is taken."""
    settings = studio.settings
    page = build(studio).queue(max_size=64, default_concurrency_limit=8, api_open=False)
    try:
        page.launch(server_name=settings.host, server_port=settings.port, **launch_options(studio))
    except OSError as error:
        raise StudioError(
            f"The page cannot listen on {settings.host}:{settings.port}: something else does. "
            "Set STUDIO_PORT to a free port.",
            field="port",
            allowed="a free port",
        ) from error
