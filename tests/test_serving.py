"""Whom the app's server lets in, how many at once, and that kernels end; asked as by curl."""

import http.client
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import nbformat
import psutil
import pytest
from browser.harness import Server, free_port

from tabkit.widgets import __main__ as app

PAGES = 2
LIGHT = """
import sys
from pathlib import Path
from tabkit.widgets import __main__ as app
app.PATIENCE = 5
app.KERNELS |= {culling}
app.serve(Path({notebook!r}), {port}, pages={pages}, browser=False)
"""
IMAGE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
FRAME = IMAGE | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
LINK = IMAGE | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
SOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def start(folder, **culling):
    """A server like the app's, whose page is a light one."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import os")])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "light.ipynb")
    port = free_port()
    path = str(folder / "light.ipynb")
    code = LIGHT.format(culling=culling, notebook=path, port=port, pages=PAGES)
    return Server([sys.executable, "-c", code], folder, port, ready="/voila/static/voila.js")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    found = start(tmp_path_factory.mktemp("light"))
    yield found
    found.stop()


def ask(server, path="/", *, method="GET", body="", read=True, **headers):
    """The answer's status, text and headers; without `read`, who asks leaves at its first word."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body=body, headers=named)
    answer = connection.getresponse()
    text = answer.read().decode() if read else ""
    connection.close()
    return SimpleNamespace(status=answer.status, text=text, headers=answer.headers)


def kernels(server):
    return psutil.Process(server.process.pid).children()


def wait_for(server, count, seconds=30):
    end = time.perf_counter() + seconds
    while len(kernels(server)) != count and time.perf_counter() < end:
        time.sleep(0.1)
    assert len(kernels(server)) == count


def leave(server, page, **headers):
    """Says goodbye as Voila's page does."""
    (kernel,) = re.findall(r'"kernelId": "([\w-]+)"', page.text)
    cookies = "; ".join(page.headers.get_all("Set-Cookie"))
    (token,) = re.findall(r"_xsrf=([^;]+)", cookies)
    sent = {"Cookie": f"_xsrf={token}", "Origin": server.origin} | headers
    sent["Content_Type"] = "application/x-www-form-urlencoded"
    path = f"/voila/api/shutdown/{kernel}"
    return ask(server, path, method="POST", body=f"_xsrf={token}", **sent)


@pytest.fixture
def page(server):
    """A page that is open; it is left at the end."""
    wait_for(server, 0)
    found = ask(server)
    assert found.status == 200
    yield found
    leave(server, found)
    wait_for(server, 0)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        IMAGE,
        FRAME,
        IMAGE | {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_other_sites_are_refused_before_a_kernel_starts(server, headers):
    refused = ask(server, **headers)
    assert refused.status == 403
    assert "Traceback" not in refused.text
    assert kernels(server) == []


def test_readers_are_let_in_by_any_name_of_this_machine_and_by_a_link(server):
    for headers in ({"Host": f"localhost:{server.port}"}, {"Origin": server.origin}, LINK):
        found = ask(server, **headers)
        assert found.status == 200
        assert leave(server, found).status == 204
    wait_for(server, 0)


def test_only_loopback_listens(server):
    (listening,) = psutil.Process(server.process.pid).net_connections("tcp")
    assert listening.laddr.ip == "127.0.0.1"


def test_a_kernel_ends_when_its_own_page_says_goodbye(server, page):
    assert leave(server, page, Origin="http://evil.example").status == 404
    assert leave(server, page, Cookie="").status == 403
    assert len(kernels(server)) == 1
    assert leave(server, page).status == 204
    wait_for(server, 0)


def test_the_socket_of_a_page_is_for_that_page_only(server, page):
    (kernel,) = re.findall(r'"kernelId": "([\w-]+)"', page.text)
    path = f"/api/kernels/{kernel}/channels"
    host = f"127.0.0.1:{server.port}"
    own = ask(server, path, read=False, **SOCKET, Host=host, Origin=server.origin)
    assert own.status == 101
    for name, origin in [(host, "http://evil.example"), ("evil.example", "http://evil.example")]:
        assert ask(server, path, **SOCKET, Host=name, Origin=origin).status == 403


def test_the_number_of_pages_is_bounded_whoever_comes_at_the_same_time(server, page):
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: ask(server), range(4)))
    assert sorted(answer.status for answer in answers) == [200, 503, 503, 503]
    assert len(kernels(server)) == PAGES
    for answer in answers:
        if answer.status == 200:
            leave(server, answer)
        else:
            assert app.FULL.format(PAGES) in answer.text
            assert "https://" not in answer.text


def test_who_loads_the_last_page_again_waits_for_it_to_be_gone(server, page):
    other = ask(server)
    with ThreadPoolExecutor() as pool:
        again = pool.submit(ask, server)
        time.sleep(0.5)
        leave(server, other)
        assert again.result().status == 200
    leave(server, again.result())


def test_a_kernel_whose_page_went_without_goodbye_is_culled(tmp_path):
    server = start(tmp_path, cull_idle_timeout=1, cull_interval=1)
    assert ask(server, read=False).status == 200
    wait_for(server, 0)
    server.stop()
    assert app.KERNELS["cull_connected"] is False
    assert 0 < app.KERNELS["cull_idle_timeout"] <= 300


def test_kernels_inherit_that_waiting_threads_sleep(server, page):
    (kernel,) = kernels(server)
    assert kernel.environ()["GOMP_SPINCOUNT"] == "1000"
