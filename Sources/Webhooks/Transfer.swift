import CCurl

/// One HTTP request of libcurl's, and what has come of its answer.
///
/// libcurl holds the address of the object, so it lives until the transfer has left its `TransferLoop`.
final class Transfer {
    typealias Ending = Result<Void, OutgoingError>

    let easy = EasyHandle()
    private let policy: AddressPolicy
    private let maxBytes: Int
    private var refusedAddress: String?
    private var hasOpenedSocket = false
    private var headerBytes = 0
    private(set) var headers: [(name: String, value: String)] = []
    private(set) var body: [UInt8] = []
    private(set) var isCut = false
    /// Called once, when the transfer is over and has left its loop.
    var completion: ((Ending) -> Void)?

    private static let maxHeaderBytes = 65_536

    init(policy: AddressPolicy, maxBytes: Int) {
        self.policy = policy
        self.maxBytes = maxBytes
        qm_curl_restrict_to_web(easy.raw)
        let context = Unmanaged.passUnretained(self).toOpaque()
        qm_curl_on_open_socket(easy.raw, openSocket, context)
        qm_curl_set_stream(easy.raw, CURLOPT_HEADERFUNCTION, receiveHeader)
        qm_curl_set_pointer(easy.raw, CURLOPT_HEADERDATA, context)
        qm_curl_set_stream(easy.raw, CURLOPT_WRITEFUNCTION, receiveBody)
        qm_curl_set_pointer(easy.raw, CURLOPT_WRITEDATA, context)
    }

    /// A socket for an address that the policy allows, judged here since there is no way round this place; else -1.
    fileprivate func socket(for address: UnsafePointer<curl_sockaddr>) -> Int32 {
        let raw = UnsafeRawPointer(address) + MemoryLayout<curl_sockaddr>.offset(of: \.addr)!
        let target = NetworkAddress(raw, family: address.pointee.family)
        guard let target, policy.allows(target) else {
            refusedAddress = target?.description ?? "of an unknown family"
            return -1
        }
        hasOpenedSocket = true
        return EasyHandle.socket(for: address)
    }

    /// A line of the head; an interim answer's lines are forgotten when the next head begins.
    fileprivate func received(headerLine bytes: UnsafeBufferPointer<UInt8>) {
        headerBytes += bytes.count
        guard headerBytes <= Transfer.maxHeaderBytes else { return }
        let line = curlLine(bytes)
        if line.hasPrefix("HTTP/") {
            headers = []
        } else if let colon = line.firstIndex(of: ":") {
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            headers.append((String(line[..<colon]), String(value)))
        }
    }

    /// Keeps what there is room for; false once there is more than that, which ends the transfer.
    fileprivate func received(body bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        isCut = bytes.count > maxBytes - body.count
        body += bytes.prefix(maxBytes - body.count)
        return !isCut
    }

    /// What libcurl's word for the end means.
    func ending(_ code: CURLcode) -> Ending {
        switch code {
        case CURLE_OK: return .success(())
        // We ended it ourselves, with enough in our hands.
        case CURLE_WRITE_ERROR where isCut: return .success(())
        default: break
        }
        if let refusedAddress, !hasOpenedSocket {
            return .failure(.refused("the address \(refusedAddress) is not a public one"))
        }
        return .failure(easy.error(code))
    }
}

private func transfer(_ context: UnsafeMutableRawPointer?) -> Transfer {
    Unmanaged<Transfer>.fromOpaque(context!).takeUnretainedValue()
}

private func openSocket(
    _ context: UnsafeMutableRawPointer?, _ purpose: curlsocktype, _ address: UnsafeMutablePointer<curl_sockaddr>?
) -> curl_socket_t {
    address.map { transfer(context).socket(for: $0) } ?? -1
}

private func receiveHeader(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    transfer(context).received(headerLine: curlBytes(bytes, size, count))
    return size * count
}

private func receiveBody(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    // Any other number than the one that was offered ends the transfer.
    transfer(context).received(body: curlBytes(bytes, size, count)) ? size * count : 0
}
