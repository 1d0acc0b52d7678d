"""`Run`: two trained nets with all that predicts new rows, which can be saved."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from tabkit import store
from tabkit.compare.specs import parse_spec
from tabkit.data import Dataset
from tabkit.data.dataset import signal_on
from tabkit.data.preparing import Preparation
from tabkit.decoders import decode
from tabkit.nets import RowEncoder, RowPredictor, freeze
from tabkit.schema import DataError, Rows, Scale, Schema
from tabkit.schema.saving import loads, plain_scale, plain_schema, scale_of, schema_of
from tabkit.train import fit_encoder, fit_predictor

FILE, KIND, REMEDY = "run.safetensors", "run", "train it again"


@dataclass(frozen=True, eq=False)
class Run:
    """net0 behind net1, what its signal is measured in, and how its rows are decoded.

    Attributes
    ----------
    schema : Schema
        Of the rows that it predicts.
    signal : tuple of Continuous
        The columns that it needs, with their scale.
    prepare : Preparation
        What a raw frame goes through first.
    net1, net0 : RowEncoder, RowPredictor
    estimator : str
        That net0 was trained with, as the command line takes it.
    decoder : str
    nets : for ``net1`` and ``net0``, what each is made with
    """

    schema: Schema
    signal: Scale
    prepare: Preparation
    net1: RowEncoder
    net0: RowPredictor
    estimator: str = "softmax"
    decoder: str = "search"
    nets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def train(
        cls,
        data: Dataset,
        *,
        estimator: str = "softmax",
        decoder: str = "search",
        steps: int = 1000,
        encoder_steps: int = 1500,
        fixed: Mapping[str, Any] | None = None,
        nets: Mapping[str, Mapping[str, Any]] | None = None,
        seed: int = 0,
        device: str = "cpu",
        folder: Path | None = None,
    ) -> "Run":
        """Trains net1 and, behind it, net0; in `folder`, a training that was stopped is picked up.

        `nets`: what `RowEncoder` and `RowPredictor` are made with, under ``net1`` and ``net0``. The
        other parameters are those of `fit_encoder` and `fit_predictor`.
        """
        chosen, schedules = parse_spec(estimator)
        nets = {"net1": {}, "net0": {}} | {
            name: dict(given) for name, given in (nets or {}).items()
        }
        net1 = RowEncoder(data.schema, **nets["net1"], seed=seed, device=device)
        kept = {n: folder and folder / f"{n}.safetensors" for n in ("net1", "net0")}
        fit_encoder(net1, data, steps=encoder_steps, seed=seed, checkpoint=kept["net1"]).run("net1")
        net1 = freeze(net1)
        nets["net0"] = {"head": chosen.head} | nets["net0"]
        net0 = RowPredictor(data.signal.shape[1], net1, **nets["net0"], seed=seed)
        options = {"steps": steps, "schedules": schedules, "fixed": fixed, "seed": seed}
        fit = fit_predictor(net0, net1, data, chosen, **options, checkpoint=kept["net0"])
        fit.run(estimator)
        rest = {"estimator": estimator, "decoder": decoder, "nets": nets}
        return cls(data.schema, data.signal_scale, data.prepare, net1, net0, **rest)

    def rows(self, signal: Float[Tensor, "B S"]) -> Rows:
        """The rows that it predicts for signals on the training scale."""
        estimator = parse_spec(self.estimator).estimator
        options = {"decoder": self.decoder, "estimator": estimator}
        return decode(self.net0.eval(), signal, self.net1, **options)

    def predict(self, table: Any) -> pd.DataFrame:
        """The rows that it predicts for new ones, whose signal a table holds.

        Raises DataError if the table lacks a column of the signal, or it does not fit.
        """
        return self.schema.decode(self.rows(signal_on(table, self.signal, self.prepare)))

    def save(self, folder: Path) -> None:
        """Writes it into a folder: weights and plain values, no code."""
        weights = {name: net.state_dict() for name, net in self._trained().items()}
        facts = {
            "schema": plain_schema(self.schema),
            "signal": plain_scale(self.signal),
            "prepare": asdict(self.prepare),
            **{name: getattr(self, name) for name in ("estimator", "decoder", "nets")},
        }
        store.write(folder / FILE, KIND, {"facts": json.dumps(facts), "weights": weights})

    def _trained(self) -> dict[str, RowEncoder | RowPredictor]:
        return {"net1": self.net1, "net0": self.net0}

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> "Run":
        """A saved run, of whichever versions of tabkit and torch.

        Raises DataError if the folder holds none; FileError if its file is damaged.
        """
        file = folder / FILE
        try:
            saved, _ = store.read(file, KIND, REMEDY, device=device)
            return cls._of(loads(saved["facts"]), saved["weights"], device)
        except FileNotFoundError as error:
            raise DataError(f"{folder} holds no saved run", "name the folder of one") from error
        except store.FileError:
            raise
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            why = " ".join(str(error).split())
            raise store.FileError(file, f"is damaged: {why}", REMEDY) from error

    @classmethod
    def _of(cls, facts: Mapping[str, Any], weights: Mapping[str, Any], device: str) -> "Run":
        check_sizes(facts["nets"], weights)
        schema, signal = schema_of(facts["schema"]), scale_of(facts["signal"])
        net1 = freeze(RowEncoder(schema, **facts["nets"]["net1"], device=device))
        net0 = RowPredictor(len(signal), net1, **facts["nets"]["net0"])
        prepare = Preparation.of(facts["prepare"])
        rest = {name: facts[name] for name in ("estimator", "decoder", "nets")}
        found = cls(schema, signal, prepare, net1, net0, **rest)
        for name, net in found._trained().items():
            net.load_state_dict(weights[name])
        return found


def check_sizes(nets: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    """No net is to be made larger than its weights; ValueError says which would be."""
    for name, made_with in nets.items():
        most = max([len(weights[name]), *(n for w in weights[name].values() for n in w.shape)])
        for knob, value in made_with.items():
            if isinstance(value, int) and value > most:
                raise ValueError(f"{name} has {knob}={value}, and weights for {most} at most")
