"""An exported model: its files and its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dfp_platform.errors import CorruptLakeError
from dfp_platform.models.card import Origin
from dfp_platform.models.records import Record

CARD = "card.json"


class MobileCard(Record):
    """What an exported model is, what it was made from and how to use it.

    Attributes:
        name: the noun of its lake path, ``autoencoder_onnx``.
        exporter: key in `interface.EXPORTERS`.
        precision: number format of the weights, ``fp32``.
        model: name of the model it was made from.
        weights_sha256: digest of that model's weights file.
        device: device whose apps the model was trained on.
        features: columns of the input, in order: raw values as landed, float32; NaN where unknown.
        schema_hash: identity of those columns, see `models.data.feature_schema_hash`.
        input: name of the graph's input, shape ``(apps, features)``.
        output: name of the output that holds scores, shape ``(apps,)``, within 0 and 1; more is more suspicious.
        error_output: name of the output that holds reconstruction errors, shape ``(apps,)``.
        threshold: an app with a higher score raises an alarm; exactly a float32.
        libraries: versions that took part in the export; other versions may give other bytes.
        synthetic: whether the model was trained on generated apps.
        origin: the training table of the model.
    """

    name: str
    exporter: str
    precision: str
    model: str
    weights_sha256: str
    device: str
    features: tuple[str, ...]
    schema_hash: str
    input: str
    output: str
    error_output: str
    threshold: float
    libraries: dict[str, str]
    synthetic: bool = False
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class MobileArtifact:
    """An exported model.

    Attributes:
        card: its card.
        model: name of its one model file, ``model.onnx``.
        data: the bytes of that file.
    """

    card: MobileCard
    model: str
    data: bytes

    @property
    def files(self) -> dict[str, bytes]:
        """Name → bytes, equal for equal models; read back by `from_files`."""
        return {self.model: self.data, CARD: self.card.to_json()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> MobileArtifact:
        """The artifact whose `files` these are.

        Raises:
            CorruptLakeError: they are not one card and one model file.
        """
        models = sorted(set(files) - {CARD})
        if CARD not in files or len(models) != 1:
            raise CorruptLakeError(
                f"an exported model is {CARD} and one model file, not: {', '.join(sorted(files)) or 'nothing'}",
                hint="read all files beneath the artifact's path at one commit",
                path=CARD,
            )
        return cls(MobileCard.from_json(files[CARD]), models[0], files[models[0]])
