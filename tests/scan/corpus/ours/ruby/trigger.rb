require 'net/http'

API = 'https://api.sourcecraft.tech'

uri = URI("#{API}/#{org}/#{repo}/ci_workflows/#{workflow}/trigger")
request = Net::HTTP::Post.new(uri)
request.body = '{}'
answer = JSON.parse(http.request(request).body)
puts answer['flux_public_id'], answer['trigger_status']
