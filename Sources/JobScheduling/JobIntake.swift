import JSON
import Services

extension JobSchedulingService {
    /// Creates a job for another service, as a POST of `job` to `/api/jobs` does. With `unique` in it, whoever asks again
    /// makes no second one. No worker is needed in this process, nor the job's kind: what its kind refuses about its config
    /// is known when it is run.
    /// - Throws: a `Problem` naming the field of a job that cannot be; `RedisError` when it is not known to be there.
    public static func enqueue(_ job: JSONValue, in context: ServiceContext) async throws {
        let draft = try JobDraftParser.parse(job).alone()
        _ = try await JobStore(context: context).create([draft], in: draft.queue)
    }
}
