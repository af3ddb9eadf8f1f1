# Hands out the files of the web app from the package, at an https address that Android keeps for this; nothing else is loaded.
.class public Lorg/medloupe/pocket/Assets;
.super Landroid/webkit/WebViewClient;

.field private final context:Landroid/content/Context;

.method public constructor <init>(Landroid/content/Context;)V
    .registers 2
    invoke-direct {p0}, Landroid/webkit/WebViewClient;-><init>()V
    iput-object p1, p0, Lorg/medloupe/pocket/Assets;->context:Landroid/content/Context;
    return-void
.end method

.method private static isOurs(Landroid/net/Uri;)Z
    .registers 3

    invoke-virtual {p0}, Landroid/net/Uri;->getHost()Ljava/lang/String;
    move-result-object v0
    const-string v1, "appassets.androidplatform.net"
    invoke-virtual {v1, v0}, Ljava/lang/String;->equals(Ljava/lang/Object;)Z
    move-result v0
    return v0
.end method

.method public shouldInterceptRequest(Landroid/webkit/WebView;Landroid/webkit/WebResourceRequest;)Landroid/webkit/WebResourceResponse;
    .registers 12
    # v0 response, v1 type, v2 encoding, v3 status, v4 reason, v5 headers, v6 stream, v7 path; p0 v9, p1 v10, p2 v11

    invoke-interface {p2}, Landroid/webkit/WebResourceRequest;->getUrl()Landroid/net/Uri;
    move-result-object v7
    invoke-static {v7}, Lorg/medloupe/pocket/Assets;->isOurs(Landroid/net/Uri;)Z
    move-result v0
    if-nez v0, :ours
    invoke-virtual {v7}, Landroid/net/Uri;->getScheme()Ljava/lang/String;
    move-result-object v0
    if-eqz v0, :missing
    const-string v1, "http"
    invoke-virtual {v0, v1}, Ljava/lang/String;->startsWith(Ljava/lang/String;)Z
    move-result v0
    if-nez v0, :missing
    const/4 v0, 0x0
    return-object v0

    :ours
    invoke-virtual {v7}, Landroid/net/Uri;->getPath()Ljava/lang/String;
    move-result-object v7
    if-eqz v7, :missing
    const-string v0, "/"
    invoke-virtual {v7, v0}, Ljava/lang/String;->equals(Ljava/lang/Object;)Z
    move-result v0
    if-eqz v0, :named
    const-string v7, "/index.html"
    :named
    const-string v0, "web"
    invoke-virtual {v0, v7}, Ljava/lang/String;->concat(Ljava/lang/String;)Ljava/lang/String;
    move-result-object v7

    :try_start
    iget-object v0, p0, Lorg/medloupe/pocket/Assets;->context:Landroid/content/Context;
    invoke-virtual {v0}, Landroid/content/Context;->getAssets()Landroid/content/res/AssetManager;
    move-result-object v0
    invoke-virtual {v0, v7}, Landroid/content/res/AssetManager;->open(Ljava/lang/String;)Ljava/io/InputStream;
    move-result-object v6
    :try_end
    .catch Ljava/io/IOException; {:try_start .. :try_end} :absent

    invoke-static {v7}, Lorg/medloupe/pocket/Assets;->typeOf(Ljava/lang/String;)Ljava/lang/String;
    move-result-object v1
    const/4 v2, 0x0
    const/16 v3, 0xc8
    const-string v4, "OK"
    goto :answer

    :absent
    move-exception v0
    :missing
    new-instance v6, Ljava/io/ByteArrayInputStream;
    const/4 v0, 0x0
    new-array v0, v0, [B
    invoke-direct {v6, v0}, Ljava/io/ByteArrayInputStream;-><init>([B)V
    const-string v1, "text/plain"
    const/4 v2, 0x0
    const/16 v3, 0x194
    const-string v4, "Not Found"

    :answer
    new-instance v5, Ljava/util/HashMap;
    invoke-direct {v5}, Ljava/util/HashMap;-><init>()V
    const-string v0, "Cache-Control"
    const-string v7, "no-cache"
    invoke-virtual {v5, v0, v7}, Ljava/util/HashMap;->put(Ljava/lang/Object;Ljava/lang/Object;)Ljava/lang/Object;
    new-instance v0, Landroid/webkit/WebResourceResponse;
    invoke-direct/range {v0 .. v6}, Landroid/webkit/WebResourceResponse;-><init>(Ljava/lang/String;Ljava/lang/String;ILjava/lang/String;Ljava/util/Map;Ljava/io/InputStream;)V
    return-object v0
.end method

# The media type by the end of a path; blobs have none.
.method private static typeOf(Ljava/lang/String;)Ljava/lang/String;
    .registers 5
    # v0 table, v1 i, v2 end or length, v3 answer; p0 v4

    const/16 v0, @@COUNT@@
    new-array v0, v0, [Ljava/lang/String;
    invoke-static {v0}, Lorg/medloupe/pocket/Assets;->fill([Ljava/lang/String;)V
    const/4 v1, 0x0
    :next
    array-length v2, v0
    if-ge v1, v2, :other
    aget-object v2, v0, v1
    invoke-virtual {p0, v2}, Ljava/lang/String;->endsWith(Ljava/lang/String;)Z
    move-result v2
    add-int/lit8 v1, v1, 0x1
    if-eqz v2, :skip
    aget-object v3, v0, v1
    return-object v3
    :skip
    add-int/lit8 v1, v1, 0x1
    goto :next

    :other
    const-string v3, "application/octet-stream"
    return-object v3
.end method

.method private static fill([Ljava/lang/String;)V
    .registers 3
@@TYPES@@
    return-void
.end method

# Links to elsewhere (a phone number, a map) are for other apps; where there is none, nothing happens.
.method public shouldOverrideUrlLoading(Landroid/webkit/WebView;Landroid/webkit/WebResourceRequest;)Z
    .registers 6
    # v0 url or intent, v1 scratch, v2 action; p0 v3, p1 v4, p2 v5

    invoke-interface {p2}, Landroid/webkit/WebResourceRequest;->getUrl()Landroid/net/Uri;
    move-result-object v0
    invoke-static {v0}, Lorg/medloupe/pocket/Assets;->isOurs(Landroid/net/Uri;)Z
    move-result v1
    if-eqz v1, :elsewhere
    const/4 v0, 0x0
    return v0

    :elsewhere
    :try_start
    new-instance v1, Landroid/content/Intent;
    const-string v2, "android.intent.action.VIEW"
    invoke-direct {v1, v2, v0}, Landroid/content/Intent;-><init>(Ljava/lang/String;Landroid/net/Uri;)V
    iget-object v0, p0, Lorg/medloupe/pocket/Assets;->context:Landroid/content/Context;
    invoke-virtual {v0, v1}, Landroid/content/Context;->startActivity(Landroid/content/Intent;)V
    :try_end
    .catch Landroid/content/ActivityNotFoundException; {:try_start .. :try_end} :none
    :left
    const/4 v0, 0x1
    return v0
    :none
    move-exception v0
    goto :left
.end method
