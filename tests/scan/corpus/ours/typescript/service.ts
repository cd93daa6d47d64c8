@Injectable()
export class SourceCraftService {
  private readonly baseUrl = 'https://api.sourcecraft.tech';
  private readonly workflows = `${this.baseUrl}/acme/shop/ci_workflows`;

  constructor(private readonly http: HttpClient) {}

  trigger(name: string) {
    return this.http.post<Run>(`${this.workflows}/${name}/trigger`, {});
  }
}
