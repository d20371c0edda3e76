"""The language-model example: SmolLM2-135M-Instruct (a wheel) on llama.cpp, answering as streams."""
