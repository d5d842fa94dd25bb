"""The model that the settings name."""

from services.scoring.adapters.lead_model import LeadModel
from services.scoring.adapters.ollama import OllamaModel
from services.scoring.adapters.openai_chat import OpenAiModel
from services.scoring.settings import ScoringSettings


def open_model(settings: ScoringSettings) -> LeadModel:
    """Ready to be entered; no call is made yet.

    Raises:
        TerminalError: `model-host-invalid`.
    """
    return OpenAiModel(settings) if settings.model_api == "openai" else OllamaModel(settings)
