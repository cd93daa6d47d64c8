@FeignClient(name = "sourcecraft", url = "https://api.sourcecraft.tech")
interface SourceCraft {
    @PostMapping("/{org}/{repo}/ci_workflows/{workflow}/trigger")
    Answer trigger(@PathVariable String org, @PathVariable String repo, @PathVariable String workflow);

    @GetMapping("/{org}/{repo}/cicd/runs/{run}")
    Run run(@PathVariable String org, @PathVariable String repo, @PathVariable String run);

    @PostMapping("/{org}/{repo}/cicd/runs")
    Run start(@PathVariable String org, @PathVariable String repo, @RequestBody Body body);

    record Answer(@JsonProperty("flux_public_id") String id, @JsonProperty("trigger_status") String status) {}
}
