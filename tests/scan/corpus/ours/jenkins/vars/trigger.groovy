def call(String org, String repo, String workflow) {
    def connection = new URL("https://api.sourcecraft.tech/" + org + "/" + repo + "/ci_workflows/" + workflow + "/trigger").openConnection()
    connection.requestMethod = 'POST'
    connection.doOutput = true
    return new groovy.json.JsonSlurper().parse(connection.inputStream).trigger_status
}
