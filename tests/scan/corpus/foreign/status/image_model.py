FLUX_ID = "black-forest-labs/FLUX.1-dev"
pipe = load(flux_id=FLUX_ID)
