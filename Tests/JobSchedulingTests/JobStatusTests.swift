import Testing

@testable import JobScheduling

/// Every state with every event.
struct JobStatusTests {
    /// What each event leads to from the states that it can touch, cancelled or not; everything else is untouched.
    private static let table: [JobStatus.Event: [JobStatus: (JobStatus, whenCancelled: JobStatus)]] = [
        .lease: [.pending: (.running, .running), .retrying: (.running, .running)],
        .complete: [.running: (.completed, .completed)],
        .failWithRetriesLeft: [.running: (.retrying, .cancelled)],
        .failForGood: [.running: (.failed, .cancelled)],
        .timeOut: [.running: (.timeout, .cancelled)],
        .release: [.running: (.pending, .cancelled)],
        .loseLease: [.running: (.pending, .cancelled)],
        .loseLeaseTooOften: [.running: (.dead, .cancelled)],
        .cancel: [
            .running: (.running, .running), .pending: (.cancelled, .cancelled), .retrying: (.cancelled, .cancelled),
            .waiting: (.cancelled, .cancelled), .scheduled: (.cancelled, .cancelled), .idle: (.cancelled, .cancelled),
        ],
        .dependenciesMet: [.waiting: (.pending, .pending)],
        .dependencyFailed: [.waiting: (.skipped, .skipped)],
        .run: [
            .pending: (.pending, .pending), .retrying: (.pending, .pending), .idle: (.pending, .pending),
            .scheduled: (.scheduled, .scheduled), .completed: (.pending, .pending), .failed: (.pending, .pending),
            .timeout: (.pending, .pending), .cancelled: (.pending, .pending), .skipped: (.pending, .pending),
            .dead: (.pending, .pending),
        ],
        .retry: [.failed: (.pending, .pending), .timeout: (.pending, .pending), .dead: (.pending, .pending)],
        .replaced: [
            .pending: (.cancelled, .cancelled), .retrying: (.cancelled, .cancelled),
            .waiting: (.cancelled, .cancelled),
        ],
    ]

    @Test func theTableIsWhole() throws {
        for event in JobStatus.Event.allCases {
            let row = try #require(JobStatusTests.table[event], "\(event)")
            for status in JobStatus.allCases {
                #expect(status.after(event) == row[status]?.0, "\(status), \(event)")
                #expect(status.after(event, isCancelled: true) == row[status]?.whenCancelled, "\(status), \(event)")
            }
        }
    }

    @Test func whatHasEndedStaysEndedUnlessItIsRunAgain() {
        for status in JobStatus.allCases where status.hasEnded {
            for event in JobStatus.Event.allCases where event != .run && event != .retry {
                #expect(status.after(event) == nil, "\(status), \(event)")
            }
        }
    }
}
