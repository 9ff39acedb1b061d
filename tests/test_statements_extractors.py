"""Log calls of six languages: message, holes, level, component and line, in the style of real code."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biglog.data.statements import trees
from biglog.data.statements.c import c_calls
from biglog.data.statements.calls import HOLE, Argument, Call, braces, printf, unescape
from biglog.data.statements.go import go_calls
from biglog.data.statements.java import java_calls
from biglog.data.statements.javascript import javascript_calls
from biglog.data.statements.levels import LEVELS, level_in, normal_level
from biglog.data.statements.python import python_calls
from biglog.errors import InputError


def told(found):
    return [(call.level, call.template, call.parameters) for call in found.calls]


PYTHON = """
import logging, warnings
import numpy as np
from loguru import logger as loud
log = logging.getLogger("app.net")
TOO_OLD = "version %s is too old" % wanted

class Link:
    def run(self, peer, msg):
        log.warning("lost %s after %d ms", peer, 1000 * self.waited)
        self.logger.error(f"cannot reach {peer!r}: {self.error:>10}")
        log.info("shut " + "down of " + self.name + " done")
        logging.log(logging.DEBUG, "{} of {total}".format(done, total=len(all)))
        log.exception("100% sure")
        log.critical(msg)
        loud.info("took {seconds:.2f} s", seconds=took)
        warnings.warn(TOO_OLD, DeprecationWarning)
        log.error("%(name)s is gone", {"name": peer})
        log.log(25, _("half way"))
        math.log("no log call"); np.log(2); self.log("loss", loss)
"""


def test_python():
    assert told(python_calls(PYTHON.encode(), "app.link")) == [
        ("warning", "lost <*> after <*> ms", ["peer", "1000 * self.waited"]),
        ("error", "cannot reach <*>: <*>", ["peer", "self.error"]),
        ("info", "shut down of <*> done", ["self.name"]),
        ("debug", "<*> of <*>", ["done", "len(all)"]),
        ("error", "100% sure", []),
        ("critical", "<*>", ["msg"]),
        ("info", "took <*> s", ["took"]),
        ("warning", "version <*> is too old", ["wanted"]),
        ("error", "<*> is gone", ["peer"]),
        (None, "half way", []),
    ]
    first, second = python_calls(PYTHON.encode(), "app.link").calls[:2]
    assert (first.component, first.raw_level, first.line) == ("app.net", "warning", 10)
    assert second.component == "app.link"


def test_structlog_shows_its_pairs():
    code = (
        b"import structlog\nlog = structlog.get_logger()\nlog.info('user added', user=name, exc_info=True)\n"
    )
    assert told(python_calls(code, "m")) == [("info", "user added user=<*>", ["name"])]


def test_a_parameter_is_no_constant():
    code = b"import logging\ndef f(msg):\n    if not msg:\n        msg = 'empty'\n    logging.info(msg)\n"
    assert told(python_calls(code, "m")) == [("info", "<*>", ["msg"])]


JAVA = r"""
package org.acme.net;
public class Link {
    private static final Logger LOG = LoggerFactory.getLogger(Link.class);
    private static final String GONE = "peer is gone: ";
    void run() {
        LOG.warn("lost {} after {} ms", peer, waited, exception);
        log.info("took " + (now - start) + " ms for " + name + '.');
        LOGGER.log(Level.SEVERE, "cannot open {0}, code {1}", new Object[]{file, code});
        logger.error(String.format("bad %s at %d%n", what, line));
        this.logger.debugf("read %d bytes", count);
        LOG.error(GONE + peer);
        LOG.atInfo().log("fluent {}", id);
        LOG.debug(() -> "lazy " + value);
        LOG.info(MARKER, "marked \"{}\"", x);
        math.log("no"); catalog.info("not a logger"); dialog.error("neither");
    }
}
"""


def test_java():
    found = java_calls(JAVA.encode(), "src.Link")
    assert [(call.level, call.template) for call in found.calls] == [
        ("warning", "lost <*> after <*> ms"),
        ("info", "took <*> ms for <*>."),
        ("error", "cannot open <*>, code <*>"),
        ("error", "bad <*> at <*>"),
        ("debug", "read <*> bytes"),
        ("error", "peer is gone: <*>"),
        ("info", "fluent <*>"),
        ("debug", "lazy <*>"),
        ("info", 'marked "<*>"'),
    ]
    assert found.calls[0].parameters == ["peer", "waited"]
    assert {call.component for call in found.calls} == {"org.acme.net.Link"}
    assert not found.damaged


C = r"""
VLOG_DEFINE_THIS_MODULE(bridge);
static void f(void) {
    syslog(LOG_ERR | LOG_AUTH, "cannot open %s: %m", path);
    VLOG_WARN("%s: lost %"PRIu64" of %d", name, lost, all);
    log_info("up " "and %.*s", len, text);
    RTE_LOG(ERR, EAL, "no memory for %-10s\n", what);
    rd_kafka_dbg(rk, TOPIC, "PARTCNT", "Topic %s changed", topic);
    g_warning("odd value %u%%", share);
    ngx_log_error(NGX_LOG_WARN, log, 0, "low on \"%V\"", &what);
    ereport(ERROR, (errcode(X), errmsg("relation \"%s\" is gone", relation)));
    set_error(ctx, "this is no log call");
    printf("neither is %s", this);
    catalog_error("nor this");
}
"""


def test_c():
    found = c_calls(C.encode(), "lib.net")
    assert told(found) == [
        ("error", "cannot open <*>: <*>", ["path", "errno"]),
        ("warning", "<*>: lost <*> of <*>", ["name", "lost", "all"]),
        ("info", "up and <*>", ["text"]),
        ("error", "no memory for <*>", ["what"]),
        ("debug", "Topic <*> changed", ["topic"]),
        ("warning", "odd value <*>%", ["share"]),
        ("warning", 'low on "<*>"', ["&what"]),
        ("error", 'relation "<*>" is gone', ["relation"]),
    ]
    assert {call.component for call in found.calls} == {"bridge"}


CPP = """
void f() {
    LOG(ERROR) << "cannot open " << path << ": " << strerror(errno) << std::endl;
    VLOG(2) << "step " << n;
    spdlog::warn("lost {} after {} ms", peer, waited);
    logger->error("no such key: {}", key);
    ROCKS_LOG_WARN(options.info_log, "no such file %s", name);
    throw ValueError("no log call"); std::cout << "no log call " << x;
    ARROW_LOG(WARNING) << R"(raw "text")";
}
"""


def test_cpp():
    assert told(c_calls(CPP.encode(), "net", "cpp")) == [
        ("error", "cannot open <*>: <*>", ["path", "strerror(errno)"]),
        ("debug", "step <*>", ["n"]),
        ("warning", "lost <*> after <*> ms", ["peer", "waited"]),
        ("error", "no such key: <*>", ["key"]),
        ("warning", "no such file <*>", ["name"]),
        ("warning", 'raw "text"', []),
    ]


GO = """
package link
func f() {
    log.Printf("listening on %s", addr)
    klog.Warningf("lost %q after %v", peer, d)
    logger.Error("cannot dial", zap.String("addr", addr), zap.Error(err))
    slog.Info("dialled", "addr", addr, "took", d)
    klog.V(4).InfoS("Pod started", "pod", klog.KObj(pod))
    log.WithFields(logrus.Fields{"a": 1}).Debugf("state is %d", s)
    log.Error(err, "unable to reconcile", "name", n)
    log.Info().Str("key", k).Msg("stored")
    level.Warn(l).Log("msg", "slow", "took", d)
    logger.Warn("no quota", logger.Ctx{"err": err, "pool": p})
    fmt.Printf("no log %s", x)
}
"""


def test_go():
    assert told(go_calls(GO.encode(), "pkg.link.file")) == [
        (None, "listening on <*>", ["addr"]),
        ("warning", "lost <*> after <*>", ["peer", "d"]),
        ("error", "cannot dial addr=<*> error=<*>", ["addr", "err"]),
        ("info", "dialled addr=<*> took=<*>", ["addr", "d"]),
        ("info", "Pod started pod=<*>", ["klog.KObj(pod)"]),
        ("debug", "state is <*>", ["s"]),
        ("error", "unable to reconcile err=<*> name=<*>", ["err", "n"]),
        ("info", "stored key=<*>", ["k"]),
        ("warning", "slow took=<*>", ["d"]),
        ("warning", "no quota err=<*> pool=<*>", ["err", "p"]),
    ]


JAVASCRIPT = """
const debug = require('debug')('app:link');
console.error('cannot open ' + path, err);
console.log(`took ${now - start} ms`);
logger.warn('lost %s after %d ms', peer, waited);
log.info({ peer }, 'connected');
this.logger.log('error', 'it broke');
debug('trying %s', url);
Math.log(2); dialog.error('no log call');
"""


@pytest.mark.parametrize("grammar", ["javascript", "typescript", "tsx"])
def test_javascript(grammar):
    found = javascript_calls(JAVASCRIPT.encode(), "lib.link", grammar)
    assert told(found) == [
        ("error", "cannot open <*> <*>", ["path", "err"]),
        (None, "took <*> ms", ["now - start"]),
        ("warning", "lost <*> after <*> ms", ["peer", "waited"]),
        ("info", "connected", []),
        ("error", "it broke", []),
        ("debug", "trying <*>", ["url"]),
    ]
    assert found.calls[-1].component == "app:link"


def test_levels():
    raw = ("FINEST", "LOG_DEBUG", "Level.INFO", "warn", "SEVERE", "emerg", None, "loss")
    assert [normal_level(one) for one in raw] == [*LEVELS, None, None]
    assert level_in("VLOG_WARN_RL") == ("warning", "WARN")
    assert level_in("logWarning") == ("warning", "Warning")
    assert level_in("terror") is None


def test_parts_of_a_file_that_cannot_be_parsed():
    found = java_calls(b'class A { void f() { log.info("before"); } } %%% }{', "A")
    assert (found.damaged, told(found)) == (True, [("info", "before", [])])
    with pytest.raises(SyntaxError):
        python_calls(b"print 'of old'", "m")


def test_without_the_parsers(monkeypatch):
    monkeypatch.setitem(sys.modules, "tree_sitter_go", None)
    trees._parser.cache_clear()
    with pytest.raises(InputError, match=r"tree-sitter-go, which is not installed.*biglog\[statements\]"):
        go_calls(b"package a", "a")
    monkeypatch.undo()
    assert importlib.util.find_spec("tree_sitter_go")
    assert told(go_calls(b'package a\nfunc f() { log.Print("back") }', "a")) == [(None, "back", [])]


TEXTS = st.text(alphabet="ab %{}sd0.*\\\"'<>\n", max_size=30)


@given(text=TEXTS, names=st.lists(st.sampled_from("xyz"), max_size=4), fill=st.sampled_from([printf, braces]))
def test_as_many_holes_as_parameters(text, names, fill):
    call = Call(tuple(fill(text, [Argument(name) for name in names])), None, "", None, 1)
    assert call.template.count(HOLE) == len(call.parameters)
    assert "\n" not in call.template
    assert call.template == call.template.strip()


@given(text=st.text(max_size=40))
def test_python_literals_are_unescaped_as_python_does(text):
    literal = text.encode("unicode_escape").decode().replace('"', r"\"")
    assert unescape(literal) == text
