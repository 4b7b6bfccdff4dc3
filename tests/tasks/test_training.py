import pytest
from prefect import flow
from prefect.client.orchestration import get_client

from rnntrade.training import devices
from tasks import steps
from tasks.steps import GPU_LIMIT, gpu_slot, prepare_device


def test_fits_take_turns_on_a_gpu_through_prefects_limit(prefect_server, monkeypatch):
    monkeypatch.setattr(devices, "resolve_device", lambda wanted: "cuda")
    assert prepare_device("auto") == "cuda"
    assert prepare_device("auto") == "cuda"  # the limit is there by now
    with get_client(sync_client=True) as server:
        limit = server.read_global_concurrency_limit_by_name(GPU_LIMIT)
        assert (limit.limit, limit.active_slots) == (1, 0)
        with gpu_slot("cuda"):
            assert server.read_global_concurrency_limit_by_name(GPU_LIMIT).active_slots == 1
        assert server.read_global_concurrency_limit_by_name(GPU_LIMIT).active_slots == 0


def test_a_forgotten_limit_is_an_error_and_a_cpu_needs_none(prefect_server, monkeypatch):
    monkeypatch.setattr(steps, "GPU_LIMIT", "nobody-made-this")

    @flow
    def use(device: str) -> None:
        with gpu_slot(device):
            pass

    use("cpu")
    with pytest.raises(Exception, match="nobody-made-this"):
        use("cuda")
