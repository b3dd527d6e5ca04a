import JSON

/// Where `data_processing` hands its rows, as the executable lists it: what another service does with rows.
public struct DataSink: Sendable {
    /// The word of `sink`.
    public let name: String
    let write: @Sendable ([JSONValue], JobContext) async throws -> JSONValue

    /// - Parameter write: takes all rows of a job, at most 100,000 objects, in one call on the job's loop, and returns
    ///   what stands in the job's result. It may be called again with the same rows: a worker may die after the write and
    ///   before the job's end is known (`JobContext.jobID` names the job, `token` the execution). It throws `JobFailure`.
    public init(
        _ name: String, write: @escaping @Sendable (_ rows: [JSONValue], JobContext) async throws -> JSONValue
    ) {
        self.name = name
        self.write = write
    }
}
