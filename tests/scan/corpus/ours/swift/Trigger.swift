let api = "https://api.sourcecraft.tech"
var request = URLRequest(url: URL(string: "\(api)/\(org)/\(repo)/ci_workflows/\(workflow)/trigger")!)
request.httpMethod = "POST"
