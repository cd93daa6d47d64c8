defmodule Trigger do
  @api "https://api.sourcecraft.tech"

  def run(org, repo, name), do: Req.post!("#{@api}/#{org}/#{repo}/ci_workflows/#{name}/trigger", json: %{})
end
