"""
The bundled simulated source: a faithful, and on request adversarial, ``GET /v1/models``.

Used by ``syncer demo``, ``syncer simulate`` and the tests. Knows nothing of the rest of syncer.
"""

from syncer.simulator.faults import FAULTS
from syncer.simulator.options import SimulatorOptions
from syncer.simulator.requestlog import RecordedRequest
from syncer.simulator.source import SimulatedSource

__all__ = ["FAULTS", "RecordedRequest", "SimulatedSource", "SimulatorOptions"]
