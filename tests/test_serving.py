"""Whom the app's server lets in, how many at once, and that kernels end; asked as by curl."""

import asyncio
import http.client
import json
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace
from urllib.parse import quote

import psutil
import pytest
from browser.harness import PAGES, free_port
from browser.harness import light as start
from tornado.websocket import websocket_connect

from tabkit.widgets import __main__ as app
from tabkit.widgets import serving
from tabkit.widgets.serving import access, kernels

TRAINS = """
import threading, time, ipywidgets
def go():
    while True:
        bar.value = 1 - bar.value
        time.sleep(0.05)
bar = ipywidgets.IntProgress()
threading.Thread(target=go, daemon=True).start()
"""
ENDLESS = """
def nets():
    print("begun", flush=True)
    while True:
        pass
"""
FORM = {"Content_Type": "application/x-www-form-urlencoded"}
IMAGE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
FRAME = IMAGE | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
LINK = IMAGE | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
SOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    found = start(tmp_path_factory.mktemp("light"))
    yield found
    found.stop()


@pytest.fixture(scope="module")
def classroom(tmp_path_factory):
    """A server that other machines reach, and the token that was printed."""
    found = start(tmp_path_factory.mktemp("classroom"), ip="0.0.0.0")
    found.token = re.search(r"\?token=([\w-]+)", found.log.read_text())[1]
    yield found
    found.stop()


def ask(server, path="/", *, method="GET", body="", read=True, ip="127.0.0.1", **headers):
    """The answer's status, text and headers; without `read`, who asks leaves at its first word."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(http.client.HTTPConnection(ip, server.port, timeout=60)) as connection:
        connection.request(method, path, body=body, headers=named)
        with connection.getresponse() as answer:
            text = answer.read().decode() if read else ""
    return SimpleNamespace(status=answer.status, text=text, headers=answer.headers)


def wait_for(server, count, seconds=30):
    end = time.perf_counter() + seconds
    while len(server.kernels) != count and time.perf_counter() < end:
        time.sleep(0.1)
    assert len(server.kernels) == count


def leave(server, page, **headers):
    """Says goodbye as Voila's page does."""
    token = re.search(r"_xsrf=([^;]+)", cookie_of(page))[1]
    sent = {"Cookie": cookie_of(page), "Origin": server.origin} | FORM | headers
    path = f"/voila/api/shutdown/{kernel_of(page)}"
    return ask(server, path, method="POST", body=f"_xsrf={token}", **sent)


def kernel_of(page):
    return re.search(r'"kernelId": "([\w-]+)"', page.text)[1]


def cookie_of(page):
    return "; ".join(each.split(";")[0] for each in page.headers.get_all("Set-Cookie"))


def channels(page):
    """The path of the page's socket."""
    return f"/api/kernels/{kernel_of(page)}/channels"


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
    assert (refused.status, refused.text) == (403, access.ELSEWHERE)
    assert server.kernels == []


@pytest.mark.parametrize("path", ["/voila/static/voila.js", "/api/kernels/x", "/voila/files/a.png"])
def test_whatever_another_site_asks_for_is_refused(server, path):
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, IMAGE):
        refused = ask(server, path, **headers)
        assert (refused.status, refused.text) == (403, access.ELSEWHERE)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/kernels"),
        ("POST", "/api/sessions"),
        ("PUT", "/api/contents/mine.ipynb"),
        ("POST", "/api/terminals"),
        ("POST", "/"),
        ("GET", "/voila/files/light.ipynb"),
        ("GET", "/voila/static/../../../configuration.py"),
    ],
)
def test_there_is_no_way_in_but_the_page(server, method, path):
    asked = dict(FORM, Cookie="_xsrf=2|1|1|1", X_XSRFToken="2|1|1|1", Origin=server.origin)
    assert ask(server, path, method=method, body="{}", **asked).status in {403, 404, 405}
    assert server.kernels == []


def message(kind, channel="shell", **content):
    """As Jupyter's protocol has it."""
    header = {"msg_id": kind, "msg_type": kind, "session": "s", "username": "", "version": "5.3"}
    parts = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
    return json.dumps(parts | {"channel": channel})


def test_who_has_the_socket_of_a_page_cannot_run_code(server, page, tmp_path):
    async def talk():
        url = f"ws://127.0.0.1:{server.port}{channels(page)}"
        socket = await websocket_connect(url)
        code = {"code": f"open({str(tmp_path / 'ran')!r}, 'w')", "silent": False}
        for channel in ("shell", "control"):
            await socket.write_message(message("execute_request", channel, **code))
        await socket.write_message(message("kernel_info_request"))
        while True:  # in turn: after what came before has been dealt with
            told = json.loads(await socket.read_message())
            if told["header"]["msg_type"] == "kernel_info_reply":
                break
        socket.close()
        while await socket.read_message() is not None:
            pass  # until the server has closed its end too: nothing outlives the loop

    asyncio.run(asyncio.wait_for(talk(), 60))
    assert not (tmp_path / "ran").exists()


def test_from_another_machine_nobody_comes_in_without_the_token(classroom):
    for path in ("/", "/?token=", "/?token=wrong", "/?token=\u00e9", "/api/kernels", "/login"):
        refused = ask(classroom, quote(path, safe="/?="))
        assert refused.status == 403
        assert access.ASKED in refused.text
        assert classroom.token not in refused.text
    assert classroom.kernels == []


def test_the_token_is_asked_for_once(classroom):
    page = ask(classroom, f"/?token={classroom.token}")
    assert page.status == 200
    own = {"Cookie": cookie_of(page), "Host": f"127.0.0.1:{classroom.port}"}
    assert ask(classroom, channels(page), read=False, **SOCKET, **own).status == 101
    assert ask(classroom, channels(page), **SOCKET).status == 403
    other = {"Cookie": re.search("_xsrf=[^;]+", own["Cookie"])[0]}
    assert leave(classroom, page, **other).status == 403
    assert leave(classroom, page).status == 204
    again = ask(classroom, **own)
    assert again.status == 200
    again.headers = page.headers  # it brings no cookies of its own
    assert leave(classroom, again).status == 204
    wait_for(classroom, 0)


def test_a_token_opens_nothing_to_another_site(classroom):
    path = f"/?token={classroom.token}"
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        assert ask(classroom, path, **headers).status == 403
    assert classroom.kernels == []


def test_where_browsers_do_not_tell_what_for_a_page_must_be_our_own_or_bring_the_token(classroom):
    """To another machine's server over plain http they send no Sec-Fetch headers."""
    page = ask(classroom, f"/?token={classroom.token}", Referer="http://school.example/lesson")
    assert page.status == 200
    host = f"127.0.0.1:{classroom.port}"
    own = {"Cookie": cookie_of(page), "Host": host}
    for referer in (f"http://{host}0/", "http://127.0.0.1:1/", "http://school.example/"):
        for path in ("/", "/?token=", "/?token=wrong", channels(page)):
            assert ask(classroom, path, Referer=referer, **own).status == 403
    assert ask(classroom, "/voila/static/voila.js", Referer=f"http://{host}/", **own).status == 200
    assert len(classroom.kernels) == 1
    assert leave(classroom, page).status == 204
    wait_for(classroom, 0)


def test_every_address_of_the_machine_is_printed_and_works(classroom):
    printed = re.findall(r"http://([\w.:]+)/\?token", classroom.log.read_text())
    assert f"127.0.0.1:{classroom.port}" in printed
    for host in printed:
        address, port = host.rsplit(":", 1)
        found = ask(SimpleNamespace(port=int(port)), "/voila/static/voila.js", ip=address)
        assert found.status == 200


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_all_its_processes_while_pages_are_open_and_start(tmp_path, told):
    server = start(tmp_path)
    assert ask(server).status == 200
    with ThreadPoolExecutor() as pool:
        coming = pool.submit(ask, server)
        wait_for(server, 2)
        processes = psutil.Process(server.process.pid).children(recursive=True)
        server.process.send_signal(told)
        try:
            ended = server.process.wait(60)
        finally:
            server.process.kill()  # lest whoever comes waits for ever
        coming.exception()
    assert ended == (-told if told == signal.SIGKILL else 0)
    assert "Traceback" not in server.log.read_text()
    assert psutil.wait_procs(processes, timeout=30)[1] == []


def test_it_ends_in_a_word_while_nets_are_made(tmp_path):
    (tmp_path / "mine.py").write_text(ENDLESS)
    command = [sys.executable, "-m", "tabkit.widgets", "--net", "mine:nets", "--no-browser"]
    words = [*command, "--port", str(free_port())]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, cwd=tmp_path, **pipes) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "tabkit: interrupted\n")


@pytest.mark.parametrize(("ip", "why"), [("127.0.0.1", "in use"), ("192.0.2.1", "requested")])
def test_where_nothing_can_listen_a_sentence_says_so(server, capsys, ip, why):
    assert app.main(["--ip", ip, "--port", str(server.port)]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert "Remedy" in said


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
    assert leave(server, page, Origin="http://evil.example").status == 403
    assert leave(server, page, Cookie="").status == 403
    assert len(server.kernels) == 1
    assert leave(server, page).status == 204
    wait_for(server, 0)


def test_the_socket_of_a_page_is_for_that_page_only(server, page):
    path = channels(page)
    host = f"127.0.0.1:{server.port}"
    own = ask(server, path, read=False, **SOCKET, Host=host, Origin=server.origin)
    assert own.status == 101
    for name, origin in [(host, "http://evil.example"), ("evil.example", "http://evil.example")]:
        assert ask(server, path, **SOCKET, Host=name, Origin=origin).status == 403


def test_the_number_of_pages_is_bounded_whoever_comes_at_the_same_time(server, page):
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: ask(server), range(4)))
    assert sorted(answer.status for answer in answers) == [200, 503, 503, 503]
    assert len(server.kernels) == PAGES
    for answer in answers:
        if answer.status == 200:
            leave(server, answer)
        else:
            assert kernels.FULL.format(PAGES) in answer.text
            assert "https://" not in answer.text


def test_who_loads_the_last_page_again_waits_for_it_to_be_gone(server, page):
    other = ask(server)
    with ThreadPoolExecutor() as pool:
        again = pool.submit(ask, server)
        time.sleep(0.5)
        leave(server, other)
        assert again.result().status == 200
    leave(server, again.result())


def test_a_kernel_whose_page_went_without_goodbye_is_culled_though_it_trains(tmp_path):
    server = start(tmp_path, cell=TRAINS, cull_idle_timeout=1, cull_interval=1)
    assert ask(server, read=False).status == 200
    wait_for(server, 0, seconds=120)
    server.stop()
    assert serving.KERNELS["cull_connected"] is False
    assert 0 < serving.KERNELS["cull_idle_timeout"] <= 300


def test_kernels_inherit_that_waiting_threads_sleep(server, page):
    (kernel,) = server.kernels
    assert kernel.environ()["GOMP_SPINCOUNT"] == "1000"
