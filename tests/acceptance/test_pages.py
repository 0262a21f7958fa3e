"""Do the pages show real data, change while one looks, and run a plan? In a real browser.

Skipped where there is no Chromium or no Playwright, which nothing else needs. With
`--screenshots FOLDER` pictures of each page are put there.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from tenacity import wait_fixed

from processor import Client, Jobs, Reject, Request, Retry, Submission
from processor.domain.job import State
from processor.ports.holds import HoldKind
from tests.answering import answering
from tests.commands import Commands
from tests.inside import when, working

BROWSER: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
QUIET: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MILLISECONDS: Final = 60_000
DEAD: Final = 24

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium"),
]


@dataclass
class Flights:
    """Handlers that a test lets go on."""

    landed: asyncio.Event = field(default_factory=asyncio.Event)
    mended: bool = False
    jobs: Jobs = field(default_factory=Jobs)

    def __post_init__(self) -> None:
        self.jobs.register("flight.landed", self._land)
        self.jobs.register("payment.charge", self._charge, retry=Retry(attempts=1), breaker=None)
        policy = Retry(attempts=2, wait=wait_fixed(1), on_exhausted="block")
        self.jobs.register("crew.paid", self._refuse, retry=policy)

    async def _land(self, request: Request[dict[str, Any]]) -> dict[str, int]:
        await request.progress(40, "on the taxiway")
        await self.landed.wait()
        return {"minutes": request.payload["minutes"]}

    async def _charge(self, request: Request[dict[str, Any]]) -> str:
        if not self.mended:
            raise ConnectionError("503 Service Unavailable from payments.example")
        return "charged"

    async def _refuse(self, request: Request[None]) -> None:
        if request.attempt == 1:
            raise TimeoutError("the bank did not answer within 5 s")
        raise Reject("the account is closed")


@contextlib.asynccontextmanager
async def browsing(scheme: str, faults: list[str]) -> AsyncIterator[Any]:
    """A page of a browser; what its console complains of is a fault."""
    playwright = pytest.importorskip("playwright.async_api", reason="there is no Playwright")
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=BROWSER, args=list(QUIET))
        context = await browser.new_context(
            viewport={"width": 1180, "height": 860}, color_scheme=scheme, locale="en-GB"
        )
        context.set_default_timeout(MILLISECONDS)
        page = await context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda told: faults.append(told.text) if told.type == "error" else None)
        try:
            yield page
        finally:
            await browser.close()


@dataclass
class Scene:
    """One browser before one world."""

    page: Any
    url: str
    client: Client
    flights: Flights
    pictures: Path | None

    async def open(self, path: str) -> None:
        await self.page.goto(f"{self.url}{path}")

    async def picture(self, name: str) -> None:
        if self.pictures is not None:
            await self.page.screenshot(path=self.pictures / f"{name}.png")

    async def sees(self, text: str, place: str = "main") -> None:
        await self.page.locator(place).get_by_text(text).first.wait_for()


async def _fail(client: Client, number: int) -> None:
    """So many more dead letters."""
    jobs = await client.submit(
        [
            Submission("payment.charge", {"card": f"4111-{one}"}, entity=f"customer {one % 8}")
            for one in range(number)
        ]
    )
    for job in jobs:
        await when(client, job, lambda status: status.state is State.FAILED)


async def test_each_page_shows_real_data_a_live_change_and_a_plan_to_its_end(
    ready: Commands, request: pytest.FixtureRequest
) -> None:
    flights, faults = Flights(), list[str]()
    named = request.config.getoption("--screenshots")
    async with (
        working(ready.settings, flights.jobs) as client,
        answering(ready) as api,
        browsing("light", faults) as page,
    ):
        scene = Scene(page, api.url, client, flights, None if named is None else Path(named))
        await _fail(client, DEAD - 1)
        await _overview(scene)
        await _job(scene)
        await _plan(scene)
        await _dark(scene)
    assert faults == []


async def _overview(scene: Scene) -> None:
    client = scene.client
    await client.hold(HoldKind.TYPE, "report.daily", by="ada", because="the warehouse is moved")
    await client.submit([Submission("report.daily", entity=f"shop {one}") for one in range(12)])
    blocks = await client.submit(Submission("crew.paid", entity="crew 7"))
    await client.submit(Submission("crew.paid", entity="crew 7"))
    await when(client, blocks, lambda status: status.state is State.FAILED)
    await scene.open("/")
    await scene.sees("payment.charge", "#letters")
    await scene.sees(str(DEAD - 1), "#letters")
    await scene.sees("type report.daily", "#holds")
    await scene.sees("the warehouse is moved", "#holds")
    await _fail(client, 1)  # it is seen without another look
    await scene.sees(str(DEAD), "#letters")
    await scene.picture("overview")


async def _job(scene: Scene) -> None:
    secret = "Aisle 7, gate code 0815"
    job = await scene.client.submit(
        Submission("flight.landed", {"minutes": 227, "note": secret}, entity="N14228")
    )
    page = scene.page
    await page.keyboard.press("/")  # the box that finds a job, by the keyboard alone
    await page.keyboard.type(str(job))
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/jobs/{job}")
    await scene.sees("processing", "#state")
    await scene.sees("40 % on the taxiway", "#life")
    await scene.sees("It runs at", "#why")
    scene.flights.landed.set()
    await scene.sees("complete", "#state")
    assert await page.locator("#life li.complete").count() == 1
    assert secret not in await page.content()
    assert "227" not in await page.locator("#contents").inner_text()
    await page.get_by_text("Show the payload").click()
    await scene.sees(secret, "#contents")
    await page.get_by_text("Show the result").click()
    await scene.sees('"minutes": 227', "#result")


async def _plan(scene: Scene) -> None:
    page = scene.page
    await scene.open("/dead-letters")
    await page.get_by_role("button", name="payment.charge").press("Enter")
    await scene.sees("503 Service Unavailable", "#letters")
    await scene.picture("dead-letters")
    await page.get_by_role("button", name="Make a plan…").press("Enter")
    box = page.get_by_role("dialog")
    await box.get_by_text(f"{DEAD} dead letters of 8 entities").wait_for()
    await box.get_by_label("A few first").fill("5")
    await box.get_by_label("At most, a second").fill("20")
    await box.get_by_label("Why?").fill("payments.example is back")
    scene.flights.mended = True
    await box.get_by_role("button", name="Make it").press("Enter")
    await page.wait_for_url("**/plans/*")
    await scene.sees("running", "#state")
    await scene.picture("plan")
    await scene.sees("complete", "#state")
    await scene.sees(f"{DEAD} of {DEAD} done", "#sum")
    assert await page.locator("#progress").evaluate("bar => bar.value / bar.max") == 1
    (group,) = await scene.client.dead_letters.groups()
    assert group.type == "crew.paid"


async def _dark(scene: Scene) -> None:
    """A job that was replayed, by its second generation, in the dark."""
    page = scene.page
    (letter,) = [one async for one in scene.client.dead_letters.open(type="crew.paid")]
    await page.emulate_media(color_scheme="dark")
    await scene.open(f"/jobs/{letter.died.job}")
    await scene.sees("the account is closed", "#life")
    await page.get_by_role("button", name="Replay…").click()
    await page.get_by_label("Why?").fill("the account is open again")
    await page.get_by_role("button", name="Replay", exact=True).click()
    await scene.sees("Generation 2, a replay", "#life")
    await page.locator("#life section:last-child li.failed").wait_for()
    await scene.sees("failed", "#state")
    await scene.picture("job")
