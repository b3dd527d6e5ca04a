extension ExclusiveConnection {
    /// Sends a command and suspends until its reply; an error reply throws, `unavailable` while there is no connection.
    public func send(_ words: [String], budgetUs: Int64) async throws(RedisError) -> RedisReply {
        try await CommandCall.reply { submit(CommandCall(words, then: $0), budgetUs: budgetUs) }
    }
}
