git clone ssh://ssh.sourcecraft.dev/acme/shop.git
git remote add origin https://git.sourcecraft.dev/acme/shop.git
