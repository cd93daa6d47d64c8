src run trigger --repo acme/shop --workflow build
src run list --repo acme/shop
