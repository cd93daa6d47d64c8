uri = URI("#{api}/#{org}/#{repo}/ci_workflows/#{ERB::Util.url_encode(name)}/trigger")
path = [org, repo, 'cicd', 'runs', run].join('/')
