"""Hot reload: a good change applies, a bad one is reported and nothing is lost."""

import asyncio
import json

from executor_tui.config.places import Places
from executor_tui.config.watch import ConfigChanged, ConfigRejected, watch


async def test_a_good_change_is_told_with_the_new_settings_and_a_bad_one_with_its_mistake(places: Places) -> None:
    file = places.config_dir / "executor.json"
    changes = watch(places.config_dir)

    async def told(text: str) -> ConfigChanged | ConfigRejected:
        waiting = asyncio.ensure_future(anext(changes))
        while not waiting.done():
            # The watcher starts inside the first anext; writing again until it has seen one needs no guess about how long that takes.
            file.write_text(text)
            await asyncio.wait({waiting}, timeout=0.5)
        return await waiting

    async with asyncio.timeout(30):
        good = await told(json.dumps({"projects": {"max_rounds": 9}}))
        assert isinstance(good, ConfigChanged)
        assert good.config.executor.projects.max_rounds == 9
        while isinstance(bad := await told('{"projects": {"max_rounds": 0}}'), ConfigChanged):
            pass  # a last word about the good text, written twice
        assert isinstance(bad, ConfigRejected)
        assert "max_rounds" in bad.message
    await changes.aclose()  # type: ignore[attr-defined]
