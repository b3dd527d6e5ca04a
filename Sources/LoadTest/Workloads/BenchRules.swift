/// The rules that the workloads are judged by. Each binds to one exact endpoint, so that one workload meets only its own.
///
/// Limits are chosen so that a key's state outlives the time between two of its requests, as it does in real use: a
/// bucket that is full again after milliseconds would be made anew each time, which is another and cheaper work.
enum BenchRules {
    struct Rule {
        let name: String
        /// The body of POST /api/rate-limits.
        let json: String
    }

    static let all = [
        rule("bench-allowed", "/bench/allowed", "token_bucket", limit: 100_000, window: "1d"),
        rule("bench-denied", "/bench/denied", "token_bucket", limit: 1, window: "1h"),
        rule("bench-hot", "/bench/hot", "token_bucket", limit: 1_000_000_000, window: "1d"),
        rule("bench-composed-1", "/bench/composed", "token_bucket", limit: 100_000, window: "1d"),
        rule("bench-composed-2", "/bench/composed", "fixed_window", limit: 1_000_000, window: "1h"),
        rule("bench-composed-3", "/bench/composed", "sliding_window_counter", limit: 100_000, window: "1h"),
    ]

    private static func rule(_ name: String, _ endpoint: String, _ strategy: String, limit: Int, window: String) -> Rule
    {
        Rule(
            name: name,
            json: #"{"name":"\#(name)","group":"\#(name)","strategy":"\#(strategy)","limit":\#(limit),"#
                + #""window":"\#(window)","match":{"endpoint":"\#(endpoint)"}}"#)
    }
}
