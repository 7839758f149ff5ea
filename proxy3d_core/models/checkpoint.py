"""Files of a model, from a folder or the hub: JSON and safetensors only, and no more weights than are asked for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy3d_core.errors import ModelError

if TYPE_CHECKING:
    import torch

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
_PICKLED = (".bin", ".pt", ".pth", ".ckpt")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


class Checkpoint:
    """A model's files in the layout of ``save_pretrained``.

    Attributes:
        name: the folder's name, or the hub id.
        config: config.json.
    """

    def __init__(self, source: str | Path) -> None:
        """Looks the model up: an existing folder; else, if it reads as owner/name, the hub.

        Raises:
            ModelError: neither, no config.json, or not readable.
        """
        self._folder: Path | None = Path(source).expanduser()
        self._unreachable = ""
        if self._folder.is_dir():
            self.name = self._folder.resolve().name
        elif self._folder.exists():
            raise ModelError(f"{source} is a file; name the folder that holds config.json and {WEIGHTS}")
        elif _HUB_ID.fullmatch(str(source)) and not self._folder.parent.exists():
            self._folder, self.name = None, str(source)
        else:
            raise ModelError(f"no model at {source}: the folder does not exist (a hub id looks like owner/name)")
        config = self.read_json("config.json")
        if config is None:
            reason = self._unreachable or ", so save_pretrained did not write it"
            raise ModelError(f"{self.name} has no config.json{reason}")
        self.config = config

    def read_json(self, name: str) -> dict[str, Any] | None:
        """A JSON file of the model; None if it has none of this name. Raises ModelError if it is damaged."""
        path = self._file(name)
        if path is None:
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"{self.name}: {name} is damaged ({error}); copy the file anew") from None
        if not isinstance(content, dict):
            raise ModelError(f"{self.name}: {name} is damaged (no JSON object); copy the file anew")
        return content

    def image_processor(self) -> dict[str, Any]:
        """Settings of the image processor: mean, std, resampling. Raises ModelError if the model has none."""
        settings = self.read_json("preprocessor_config.json")
        if settings is None:  # newer processors are saved as one file
            settings = (self.read_json("processor_config.json") or {}).get("image_processor")
        if not isinstance(settings, dict):
            raise ModelError(
                f"{self.name} has no preprocessor_config.json, which says how images are normalised; "
                "copy it from where the weights came from"
            )
        return settings

    def tensors(self, prefixes: tuple[str, ...]) -> dict[str, torch.Tensor]:
        """Weights by name, on the CPU: those under the first of the prefixes that occurs, without the prefix.

        Of a sharded checkpoint only the files that hold such weights are opened (and downloaded).

        Raises:
            ModelError: no safetensors, a missing or damaged file, or no weight under any prefix.
        """
        from safetensors import SafetensorError, safe_open

        index: dict[str, str] | None = None
        names = [WEIGHTS]
        if self._file(WEIGHTS) is None:
            index = self._shards()
            prefix = _first_used(prefixes, index)
            names = sorted({file for key, file in index.items() if prefix is not None and key.startswith(prefix)})
        tensors: dict[str, torch.Tensor] = {}
        for name in names:
            path = self._file(name)
            if path is None:
                raise self._no_weights(name)
            try:
                with safe_open(path, framework="pt", device="cpu") as file:
                    keys = list(file.keys())
                    if index is None:
                        prefix = _first_used(prefixes, keys)
                    if prefix is not None:
                        tensors |= {k.removeprefix(prefix): file.get_tensor(k) for k in keys if k.startswith(prefix)}
            except (OSError, SafetensorError) as error:
                raise ModelError(f"{self.name}: {name} is damaged ({error}); copy the file anew") from None
        if not tensors:
            raise ModelError(f"{self.name} holds no such model: no weight begins with {' or '.join(prefixes)}")
        return tensors

    def _shards(self) -> dict[str, str]:
        """File of each weight. Raises ModelError: there is no index, or a damaged one."""
        content = self.read_json(INDEX)
        if content is None:
            raise self._no_weights(WEIGHTS)
        index = content.get("weight_map")
        # a name with a folder in it would lead out of the checkpoint
        if not isinstance(index, dict) or not all(isinstance(f, str) and Path(f).name == f for f in index.values()):
            raise ModelError(f"{self.name}: {INDEX} is damaged (no weight_map of file names); copy the file anew")
        return index

    def _no_weights(self, name: str) -> ModelError:
        pickled = sorted(p.name for p in self._folder.iterdir() if p.suffix in _PICKLED) if self._folder else []
        if pickled:
            return ModelError(
                f"{self.name} has its weights as {pickled[0]}, a pickle, which may run any code when it is loaded; "
                "only safetensors are read: take the model's safetensors version, or convert it elsewhere"
            )
        cure = self._unreachable or "; copy it there"
        return ModelError(f"{self.name} has no {name}{cure} (only safetensors are read)")

    def _file(self, name: str) -> Path | None:
        """Path of a file of the model, downloaded if it is on the hub; None if the model has none of this name."""
        if self._folder is not None:
            path = self._folder / name
            return path if path.is_file() else None
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import (
            EntryNotFoundError,
            GatedRepoError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
        )

        try:
            return Path(hf_hub_download(self.name, name))
        except LocalEntryNotFoundError:  # not in the cache, and no answer whether the hub has it
            self._unreachable = " in the cache of the hub, and the hub cannot be reached"
            return None
        except EntryNotFoundError:
            return None
        except GatedRepoError:
            raise ModelError(
                f"{self.name} asks for consent: accept its licence on the hub, then log in (hf auth login)"
            ) from None
        except RepositoryNotFoundError:
            raise ModelError(f"{self.name} is neither a folder here nor a public model on the hub") from None
        except OSError as error:
            raise ModelError(f"{self.name}: {name} cannot be fetched from the hub ({error})") from None


def _first_used(prefixes: tuple[str, ...], keys: Any) -> str | None:
    return next((prefix for prefix in prefixes if any(key.startswith(prefix) for key in keys)), None)
