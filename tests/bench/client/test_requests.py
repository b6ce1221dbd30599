from ganport_bench.client.requests import LitServeEncoder, SeedEncoder
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.client.fake_server import parse

SEEDS = st.integers(0, 2**63 - 1)


@given(SEEDS)
def test_the_open_inference_protocol_is_spoken_in_binary_both_ways(seed: int) -> None:
    first, _, document, binary = parse(SeedEncoder().request(seed))
    assert first == "POST /v2/models/generator/infer HTTP/1.1"
    wanted = {"name": "seed", "datatype": "UINT64", "shape": [1], "parameters": {"binary_data_size": 8}}
    assert document["inputs"] == [wanted]
    assert document["outputs"] == [{"name": "image", "parameters": {"binary_data": True}}]
    assert int.from_bytes(binary, "little") == seed


@given(SEEDS)
def test_litserve_is_asked_in_json(seed: int) -> None:
    first, headers, document, binary = parse(LitServeEncoder().request(seed))
    assert (first, headers["content-type"]) == ("POST /predict HTTP/1.1", "application/json")
    assert (document, binary) == ({"seed": seed}, b"")
