package example;

import com.google.protobuf.ByteString;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import truc.edge.v1.DocumentOuterClass.Attachment;
import truc.edge.v1.DocumentOuterClass.Document;
import truc.edge.v1.DocumentOuterClass.DocumentType;
import truc.edge.v1.DocumentOuterClass.ReceivedDocument;
import truc.edge.v1.DocumentOuterClass.Secrecy;
import truc.edge.v1.DocumentOuterClass.Urgency;
import truc.edge.v1.DocumentServiceGrpc;
import truc.edge.v1.DocumentServiceOuterClass.AcknowledgeRequest;
import truc.edge.v1.DocumentServiceOuterClass.ConfirmDocumentsRequest;
import truc.edge.v1.DocumentServiceOuterClass.DocumentHeader;
import truc.edge.v1.DocumentServiceOuterClass.DownloadAttachmentRequest;
import truc.edge.v1.DocumentServiceOuterClass.ReceiveDocumentsRequest;
import truc.edge.v1.DocumentServiceOuterClass.SendDocumentRequest;
import truc.edge.v1.DocumentServiceOuterClass.SendDocumentResponse;

/** Sends one PDF through an edge, then takes and registers what has arrived. Not compiled by the checks of this project. */
public final class SendAndReceive {
    private static final int CHUNK_BYTES = 256 * 1024;

    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 4) {
            System.err.println("usage: SendAndReceive HOST:PORT REFERENCE RECIPIENT FILE.pdf");
            System.exit(2);
        }
        ManagedChannel channel = Grpc.newChannelBuilder(arguments[0], InsecureChannelCredentials.create()).build();
        try {
            System.out.println(send(channel, arguments[1], arguments[2], Path.of(arguments[3])));
            receive(channel, Path.of("arrived"));
        } catch (StatusRuntimeException refused) {
            // google.rpc.ErrorInfo in the details has the stable reason: io.grpc.protobuf.StatusProto.fromThrowable(refused).
            System.err.println(refused.getStatus());
            System.exit(1);
        } finally {
            channel.shutdown().awaitTermination(5, TimeUnit.SECONDS);
        }
    }

    /** The same reference with the same document may be sent again after any failure: it goes out once. */
    static String send(ManagedChannel channel, String reference, String recipient, Path file) throws Exception {
        CompletableFuture<String> messageId = new CompletableFuture<>();
        StreamObserver<SendDocumentRequest> requests = DocumentServiceGrpc.newStub(channel).sendDocument(
                new StreamObserver<SendDocumentResponse>() {
                    @Override public void onNext(SendDocumentResponse answer) { messageId.complete(answer.getMessageId()); }
                    @Override public void onError(Throwable cause) { messageId.completeExceptionally(cause); }
                    @Override public void onCompleted() { }
                });
        Document document = Document.newBuilder()
                .addRecipients(recipient).setNumber("4127").setNotation("BTC-NSNN").setSubject("Về việc thử liên thông")
                .setType(DocumentType.newBuilder().setName("Công văn"))
                .setUrgency(Urgency.URGENCY_NORMAL).setSecrecy(Secrecy.SECRECY_NONE)
                .addAttachments(Attachment.newBuilder()
                        .setName(file.getFileName().toString()).setMediaType("application/pdf").setSize(Files.size(file)))
                .build();
        requests.onNext(SendDocumentRequest.newBuilder()
                .setHeader(DocumentHeader.newBuilder().setClientReference(reference).setDocument(document)).build());
        // For large files wait for ClientCallStreamObserver.isReady() between pieces, and resume after a cut with GetSendProgress.
        try (InputStream bytes = Files.newInputStream(file)) {
            for (byte[] piece = bytes.readNBytes(CHUNK_BYTES); piece.length > 0; piece = bytes.readNBytes(CHUNK_BYTES)) {
                requests.onNext(SendDocumentRequest.newBuilder().setData(ByteString.copyFrom(piece)).build());
            }
        }
        requests.onCompleted();
        return messageId.get(10, TimeUnit.MINUTES);
    }

    static void receive(ManagedChannel channel, Path folder) throws Exception {
        DocumentServiceGrpc.DocumentServiceBlockingStub edge = DocumentServiceGrpc.newBlockingStub(channel);
        var arrived = edge.receiveDocuments(ReceiveDocumentsRequest.newBuilder().setNoWait(true).build());
        while (arrived.hasNext()) {
            var next = arrived.next();
            ReceivedDocument received = next.getDocument();
            Path target = folder.resolve(received.getMessageId() + "." + received.getRecipient());
            Files.createDirectories(target);
            for (int index = 0; index < received.getDocument().getAttachmentsCount(); index++) {
                // Never under the name that the sender chose. Compare the SHA-256 with getAttachments(index).getSha256().
                try (OutputStream file = Files.newOutputStream(target.resolve(String.format("%02d", index)))) {
                    var pieces = edge.downloadAttachment(DownloadAttachmentRequest.newBuilder()
                            .setMessageId(received.getMessageId()).setIndex(index).build());
                    while (pieces.hasNext()) {
                        pieces.next().getData().writeTo(file);
                    }
                }
            }
            edge.acknowledge(AcknowledgeRequest.newBuilder()
                    .setMessageId(received.getMessageId()).setRecipient(received.getRecipient()).setArrivalNumber("1").build());
            edge.confirmDocuments(ConfirmDocumentsRequest.newBuilder().setCursor(next.getCursor()).build());
            System.out.println(received.getMessageId() + " " + received.getDocument().getSubject());
        }
    }
}
