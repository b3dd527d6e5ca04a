import EventLoops
import Glibc
import TestSupport

@testable import Webhooks

/// A client on a loop of its own.
func client(
    inside: String = "true", hosts: String = "", fixedNames: [String] = [], authorities: String? = nil,
    mailThreads: Int = 8
) async throws -> OnLoop<OutgoingClient> {
    signal(SIGPIPE, SIG_IGN)
    let policy = try AddressPolicy(hosts: hosts, inside: inside)
    let threads = MailThreads(maxThreads: mailThreads)
    return await OnLoop {
        OutgoingClient(
            loop: $0, policy: policy, fixedNames: fixedNames, authorities: authorities, mailThreads: threads)
    }
}

extension OnLoop where Value == OutgoingClient {
    func send(_ request: OutgoingRequest) async throws -> Result<OutgoingResponse, OutgoingError> {
        try await run { await $0.post(request) }
    }

    func get(_ url: String) async throws -> Result<OutgoingResponse, OutgoingError> {
        try await send(OutgoingRequest("GET", try WebAddress(url)))
    }

    func send(_ mail: Mail, by url: String) async throws -> Result<MailReceipt, OutgoingError> {
        let server = try MailServer(url)
        return try await run { await $0.send(mail, by: server) }
    }
}

extension Result where Success == OutgoingResponse, Failure == OutgoingError {
    var response: OutgoingResponse? { try? get() }

    var error: OutgoingError? {
        if case .failure(let error) = self { error } else { nil }
    }

    var isRefused: Bool {
        if case .failure(.refused) = self { true } else { false }
    }

    var isUnreachable: Bool {
        if case .failure(.unreachable) = self { true } else { false }
    }

    var isBrokenOff: Bool {
        if case .failure(.brokenOff) = self { true } else { false }
    }
}

/// How long `body` takes.
func elapsedUs<Value>(_ body: () async throws -> Value) async rethrows -> (Value, Int64) {
    let startUs = MonotonicClock.nowUs()
    let value = try await body()
    return (value, MonotonicClock.nowUs() - startUs)
}
