@Injectable()
export class SourceCraftClient {
  private readonly baseUrl: string;

  constructor(private readonly config: ConfigService) {
    this.baseUrl = this.config.get<string>('SOURCECRAFT_API_BASE_URL', 'https://api.sourcecraft.tech').replace(/\/$/, '');
  }

  listRuns(org: string, repo: string) {
    return this.request(`/repos/${encodeURIComponent(org)}/${encodeURIComponent(repo)}/cicd/runs`);
  }
}
