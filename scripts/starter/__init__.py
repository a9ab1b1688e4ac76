"""What makes the starter model: drawings, tokenizer, autoencoder, denoiser and the judge that marks it."""
