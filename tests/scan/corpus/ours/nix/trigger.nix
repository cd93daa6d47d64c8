{ pkgs }: pkgs.writeShellScript "trigger" ''
  ${pkgs.curl}/bin/curl -X POST "https://api.sourcecraft.tech/acme/shop/ci_workflows/build/trigger"
''
