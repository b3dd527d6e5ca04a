import EventLoops
import Glibc

/// One message on its way through a mail thread. It is over as soon as anybody says so; what the thread still does then
/// comes to nothing, since its sockets are shut down.
final class MailCall: @unchecked Sendable {
    // Unchecked because what changes is only touched under the lock: this one the thread sanitizer sees, unlike Mutex.
    typealias Outcome = Result<MailReceipt, OutgoingError>

    let server: MailServer
    let sender: String
    let recipients: [String]
    let message: [UInt8]
    let timeoutMs: Int
    let fixedNames: [String]
    let authorities: String?
    private let lock = Lock()
    private var waiting: UnsafeContinuation<Outcome, Never>?
    private var outcome: Outcome?
    private var sockets: Set<Int32> = []

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
            let known = lock.withLock {
                if outcome == nil { waiting = continuation }
                return outcome
            }
            if let known { continuation.resume(returning: known) }
        }
    }

    var isOver: Bool { lock.withLock { outcome != nil } }

    /// The first word about the outcome counts.
    func end(_ word: Outcome) {
        let resumed: UnsafeContinuation<Outcome, Never>? = lock.withLock {
            guard outcome == nil else { return nil }
            outcome = word
            // While they are listed here the thread does not close them, so the numbers are still theirs.
            for socket in sockets { shutdown(socket, Int32(SHUT_RDWR)) }
            defer { waiting = nil }
            return waiting
        }
        resumed?.resume(returning: word)
    }

    // MARK: For the thread

    /// Lists a socket that the call uses; false when the call is over.
    func opened(_ socket: Int32) -> Bool {
        lock.withLock {
            guard outcome == nil else { return false }
            sockets.insert(socket)
            return true
        }
    }

    /// Takes a socket off the list: the thread closes it.
    func released(_ socket: Int32) {
        lock.withLock { _ = sockets.remove(socket) }
    }

    /// Takes all off the list: the thread uses them for another call.
    func releasedAll() {
        lock.withLock { sockets = [] }
    }
}
