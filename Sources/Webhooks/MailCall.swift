import Glibc
import Synchronization

/// One message on its way through a mail thread. It is over as soon as anybody says so; what the thread still does then
/// comes to nothing, since its sockets are shut down.
final class MailCall: Sendable {
    typealias Outcome = Result<MailReceipt, OutgoingError>

    private struct State {
        var waiting: UnsafeContinuation<Outcome, Never>?
        var outcome: Outcome?
        var sockets: Set<Int32> = []
    }

    let server: MailServer
    let sender: String
    let recipients: [String]
    let message: [UInt8]
    let timeoutMs: Int
    let fixedNames: [String]
    let authorities: String?
    private let state = Mutex(State())

    init(_ mail: Mail, by server: MailServer, fixedNames: [String], authorities: String?) {
        self.server = server
        sender = mail.from.address
        recipients = mail.recipients
        message = Array(mail.message.utf8)
        timeoutMs = mail.timeoutMs
        self.fixedNames = fixedNames
        self.authorities = authorities
    }

    /// Waits for the outcome, from any loop.
    func wait() async -> Outcome {
        await withUnsafeContinuation { continuation in
            let outcome = state.withLock { state -> Outcome? in
                if state.outcome == nil { state.waiting = continuation }
                return state.outcome
            }
            if let outcome { continuation.resume(returning: outcome) }
        }
    }

    var isOver: Bool { state.withLock { $0.outcome != nil } }

    /// The first word about the outcome counts.
    func end(_ outcome: Outcome) {
        let waiting = state.withLock { state -> UnsafeContinuation<Outcome, Never>? in
            guard state.outcome == nil else { return nil }
            state.outcome = outcome
            // While they are listed here the thread does not close them, so the numbers are still theirs.
            for socket in state.sockets { shutdown(socket, Int32(SHUT_RDWR)) }
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(returning: outcome)
    }

    // MARK: For the thread

    /// Lists a socket that the call uses; false when the call is over.
    func opened(_ socket: Int32) -> Bool {
        state.withLock { state in
            guard state.outcome == nil else { return false }
            state.sockets.insert(socket)
            return true
        }
    }

    /// Takes a socket, or all of them, off the list: the thread may close it, or use it for another call.
    func released(_ socket: Int32? = nil) {
        state.withLock { state in
            if let socket { state.sockets.remove(socket) } else { state.sockets = [] }
        }
    }
}
