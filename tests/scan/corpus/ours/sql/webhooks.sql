INSERT INTO webhooks (url, method) VALUES ('https://api.sourcecraft.tech/acme/shop/ci_workflows/build/trigger', 'POST');
