"""Work on a real Ray cluster of two nodes comes out as on one machine."""

import os
from pathlib import Path

import pytest
from data_path import LINES

from biglog.data.deduplication import count_forms
from biglog.data.executors import LocalExecutor
from biglog.data.tables.build import build
from biglog.errors import InputError

pytestmark = pytest.mark.slow
SAMPLES = sorted(LINES.glob("*.log"))


@pytest.fixture(scope="module")
def executor(tmp_path_factory):
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # The nodes must find this module's functions, as they would find BigLog's.
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    from biglog.deploy.distributed import RayExecutor

    head = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    with RayExecutor(cluster.address) as ray_executor:
        yield ray_executor
    cluster.shutdown()


def test_an_address_without_a_cluster_is_refused():
    # Before any other test: once connected, a process stays with its cluster.
    from biglog.deploy.distributed import RayExecutor

    with pytest.raises(InputError, match="no Ray cluster"):
        RayExecutor("auto")


def square_and_node(number):
    import ray

    if number < 0:
        raise InputError("a negative number", where="numbers.log", line=number, remedy="Count from 0")
    return number * number, ray.get_runtime_context().get_node_id()


def test_results_come_in_order_from_both_nodes(executor):
    results = list(executor.map(square_and_node, list(range(8))))
    assert [square for square, _ in results] == [number**2 for number in range(8)]
    assert len({node for _, node in results}) == 2


def test_an_error_of_ours_comes_home_as_it_was(executor):
    with pytest.raises(InputError) as raised:
        list(executor.map(square_and_node, [1, -1]))
    assert (raised.value.where, raised.value.line) == ("numbers.log", -1)


def test_no_items_are_no_work(executor):
    assert list(executor.map(square_and_node, [])) == []


def test_forms_are_counted_alike(executor, tmp_path):
    count_forms(SAMPLES, tmp_path / "one.parquet", executor=LocalExecutor(1))
    count_forms(SAMPLES, tmp_path / "many.parquet", executor=executor)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "many.parquet").read_bytes()


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_build_on_two_nodes_is_byte_for_byte_that_of_one_process(executor, tmp_path):
    source = tmp_path / "logs"
    source.mkdir()
    lines = (LINES / "BGL.log").read_text().splitlines()
    for part in range(3):
        (source / f"BGL{part}.log").write_text("\n".join(lines[part:]) + "\n")
    build("BGL", source, tmp_path / "one", executor=LocalExecutor(1), shard_bytes=1)
    build("BGL", source, tmp_path / "many", executor=executor, shard_bytes=1)
    assert files(tmp_path / "one") == files(tmp_path / "many")
