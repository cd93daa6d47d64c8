Rails.application.routes.draw do
  namespace :api do
    get '/cicd/runs', to: 'runs#index'
    get '/cicd/runs/:id', to: 'runs#show'
  end
end
