"""Where prompts come from: specs, downloads, file formats and column maps."""
